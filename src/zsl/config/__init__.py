"""What an experiment is: typed, described and checked before any work is done."""
