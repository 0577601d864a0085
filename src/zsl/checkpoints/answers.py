"""What the Hub, or the way to it, answered, said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zsl.checkpoints.errors import CheckpointError, UnreachableError


@contextmanager
def asking(repository: str, revision: str = "", file: str = "") -> Iterator[None]:
    """Raise CheckpointError in place of what ``huggingface_hub`` raises in the block."""
    import httpx
    from huggingface_hub.errors import (
        HFValidationError,
        LocalEntryNotFoundError,
        XetDownloadError,
    )

    where = repository + f" at {revision}" * bool(revision) + f": {file}" * bool(file)
    try:
        yield
    except HFValidationError as error:
        raise CheckpointError(f"{repository}: no name of a repository ({error})") from None
    except LocalEntryNotFoundError as error:  # its cause is why the server was not asked
        raise _said(error.__cause__ or error, where) from None
    except (httpx.HTTPError, ConnectionError) as error:
        raise _said(error, where) from None
    except (RuntimeError, XetDownloadError) as error:  # of hf_xet, which fetches large files
        raise UnreachableError(
            f"{where}: the transfer failed ({error!r:.200}); run again"
        ) from None
    except OSError as error:
        if "Consistency check failed" not in str(error):
            raise
        raise UnreachableError(
            f"{where}: the server's answer ended before the file did "
            f"({str(error).splitlines()[0]}); run again"
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{where}: the server does not answer as the Hub does ({error!r:.200}); is HF_ENDPOINT "
            "right?"
        ) from None


def _said(error: BaseException, where: str) -> CheckpointError:
    """What an error of ``huggingface_hub`` means, and what to do."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return CheckpointError(
            f"{where}: gated; accept its terms on its page of the Hub, then log in with `hf auth "
            "login` or set HF_TOKEN"
        )
    if isinstance(error, RevisionNotFoundError):
        return CheckpointError(f"{where}: the repository has no such revision")
    if isinstance(error, RepositoryNotFoundError):
        return CheckpointError(
            f"{where}: no such repository, or a private one; correct its name, or log in with "
            "`hf auth login`"
        )
    if isinstance(error, EntryNotFoundError):
        return CheckpointError(f"{where}: no such file, here or on the server")
    if isinstance(error, HfHubHTTPError):
        return _answered(error.response.status_code, error.response.headers, where)
    offline = isinstance(error, OfflineModeIsEnabled) or "outgoing traffic" in str(error)
    why = "HF_HUB_OFFLINE is set" if offline else f"{type(error).__name__} ({error!s:.200})"
    return UnreachableError(
        f"{where}: the server cannot be reached, and what is asked for is not here: {why}; run "
        "again with a network, or bring the files into the cache (HF_HOME) or folder first"
    )


def _answered(status: int, headers: Any, where: str) -> CheckpointError:
    if status == 404:
        return CheckpointError(f"{where}: not there (404)")
    if status == 429:
        wait = headers.get("Retry-After")
        when = f"in {wait} seconds (Retry-After)" if wait else "later"
        return UnreachableError(
            f"{where}: the server had too many requests (429); run again {when}, or log in, which "
            "allows more"
        )
    if status >= 500 or status == 408:
        return UnreachableError(f"{where}: the server answered {status}; run again later")
    return CheckpointError(
        f"{where}: the server answered {status}; log in with `hf auth login`, or set HF_TOKEN"
    )
