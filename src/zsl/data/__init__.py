"""From text to packed token memmaps with a manifest."""
