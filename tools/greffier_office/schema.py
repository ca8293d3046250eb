"""The catalogue's schema, step by step (see greffier_office.migrations).

A step that was released is never changed. Times are nanoseconds since 1970, serial numbers of
certificates and ids lower-case hex.
"""

# Devices, their certificates, and the claims that let them in (docs/enrolment-format.md).
# ``devices.log_key`` is the log's vkey line; the two serials are of the newest certificates.
# ``claims.key`` is the only secret here; it is erased when the claim is used or expires.
# ``claims.request`` is the SHA-256 of the request that used it, ``response`` what was answered.
ENROLMENT = """
CREATE TABLE devices (
    device TEXT PRIMARY KEY,
    log_key TEXT NOT NULL,
    label TEXT NOT NULL,
    enrolled_ns INTEGER NOT NULL,
    revoked_ns INTEGER,
    control_serial TEXT NOT NULL,
    bulk_serial TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE certificates (
    serial TEXT PRIMARY KEY,
    device TEXT NOT NULL REFERENCES devices,
    name TEXT NOT NULL,
    not_after_ns INTEGER NOT NULL,
    revoked_ns INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_by_device ON certificates (device);
CREATE TABLE claims (
    claim TEXT PRIMARY KEY,
    key BLOB,
    label TEXT NOT NULL,
    for_device TEXT,
    issued_ns INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL,
    used_ns INTEGER,
    used_by TEXT REFERENCES devices,
    request TEXT,
    response TEXT
) STRICT, WITHOUT ROWID;
"""

CATALOGUE: tuple[str, ...] = (ENROLMENT,)
