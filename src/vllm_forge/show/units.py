"""Numbers as people read them."""

STEP = 1024.0


def render_bytes(size: int) -> str:
    """Three digits and a binary unit.

    >>> render_bytes(0), render_bytes(1536), render_bytes(10507740)
    ('0 B', '1.5 KiB', '10.0 MiB')
    """
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < STEP:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= STEP
    return f"{value:.1f} TiB"


def render_duration(seconds: float) -> str:
    """The two largest units that matter.

    >>> render_duration(0.42), render_duration(73), render_duration(3700)
    ('0.4 s', '1 m 13 s', '1 h 01 m')
    """
    if seconds < 10:  # noqa: PLR2004 -- below ten seconds a tenth is worth showing
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes_rest = divmod(minutes, 60)
    return f"{hours} h {minutes_rest:02} m" if hours else f"{minutes} m {rest:02} s"
