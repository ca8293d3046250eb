"""Which call a datagram belongs to: pure state machines, datagrams in, frozen events out.

:class:`~greffier.calls.tracker.Tracker` is the way in, :mod:`~greffier.calls.events` what comes
out, :mod:`~greffier.calls.limits` every time-out and every bound. No clock, no files, no network:
time is the capture time of the datagrams.
"""
