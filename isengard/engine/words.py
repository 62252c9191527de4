"""Numbers in sentences. Knows nothing else."""


def counted(count: int, noun: str) -> str:
    """E.g. "1 layer", "3 layers"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
