"""The same endpoints written the usual way, which ``bench.load`` and ``bench.cold_start`` compare with."""
