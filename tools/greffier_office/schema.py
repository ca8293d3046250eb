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

# What the collector keeps (docs/sync-protocol.md sections 4 to 8, docs/office-directory.md).
# ``logs``: the replicated log of a device: ``size`` entries, their root, the frontier's ``peaks``
# (32 bytes each, biggest subtree first), the newest checkpoint that the device signed (``head``,
# its size), and the newest that was cosigned. ``forks`` holds both signed checkpoints as evidence.
# ``batches``: which object holds which entries. ``calls`` and ``parts`` are what the entries say;
# of a part that is ``stored_ns`` also its clear header and the receipt that was given for it.
# ``part_blocks`` names the blocks of stored parts only.
COLLECTION = """
CREATE TABLE logs (
    device TEXT PRIMARY KEY REFERENCES devices,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    peaks BLOB NOT NULL,
    head_size INTEGER NOT NULL,
    head TEXT NOT NULL,
    cosigned_size INTEGER NOT NULL,
    cosigned TEXT NOT NULL,
    cosigned_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE forks (
    device TEXT NOT NULL REFERENCES devices,
    reason TEXT NOT NULL,
    theirs TEXT NOT NULL,
    ours TEXT NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    times INTEGER NOT NULL,
    PRIMARY KEY (device, reason, theirs)
) STRICT, WITHOUT ROWID;
CREATE TABLE batches (
    device TEXT NOT NULL REFERENCES devices,
    first INTEGER NOT NULL,
    end INTEGER NOT NULL,
    object TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (device, first),
    UNIQUE (device, end)
) STRICT, WITHOUT ROWID;
CREATE TABLE calls (
    device TEXT NOT NULL REFERENCES devices,
    uid TEXT NOT NULL,
    line TEXT NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER,
    record TEXT NOT NULL,
    codes TEXT NOT NULL,
    result TEXT,
    recording TEXT,
    policy TEXT,
    policy_version INTEGER,
    decided_seq INTEGER,
    ended_seq INTEGER,
    PRIMARY KEY (device, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_by_start ON calls (start_ns, device, uid);
CREATE TABLE parts (
    device TEXT NOT NULL REFERENCES devices,
    part TEXT NOT NULL,
    recording TEXT NOT NULL,
    number INTEGER NOT NULL,
    uid TEXT,
    class TEXT,
    commitment TEXT,
    envelope TEXT,
    opened_seq INTEGER,
    closed_seq INTEGER,
    bytes INTEGER,
    sha256 TEXT,
    end TEXT,
    shredded_seq INTEGER,
    stored_ns INTEGER,
    line TEXT,
    codec TEXT,
    epoch TEXT,
    created_ns INTEGER,
    deletion TEXT,
    purposes TEXT,
    receipt TEXT,
    PRIMARY KEY (device, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX parts_by_id ON parts (part);
CREATE INDEX parts_by_recording ON parts (recording, number, part);
CREATE INDEX parts_waiting ON parts (device) WHERE stored_ns IS NULL AND closed_seq IS NOT NULL;
CREATE TABLE blocks (
    sha256 TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    object TEXT NOT NULL,
    stored_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE part_blocks (
    device TEXT NOT NULL,
    part TEXT NOT NULL,
    number INTEGER NOT NULL,
    sha256 TEXT NOT NULL REFERENCES blocks,
    PRIMARY KEY (device, part, number),
    FOREIGN KEY (device, part) REFERENCES parts
) STRICT, WITHOUT ROWID;
CREATE TABLE presence (
    device TEXT PRIMARY KEY REFERENCES devices,
    online INTEGER NOT NULL,
    session TEXT NOT NULL,
    version TEXT NOT NULL,
    log_size INTEGER NOT NULL,
    parts INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    oldest_ns INTEGER NOT NULL,
    at_ns INTEGER NOT NULL,
    heard_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE refusals (
    device TEXT NOT NULL REFERENCES devices,
    reason TEXT NOT NULL,
    times INTEGER NOT NULL,
    part TEXT NOT NULL,
    last_ns INTEGER NOT NULL,
    PRIMARY KEY (device, reason)
) STRICT, WITHOUT ROWID;
"""

# ``batches.peaks``: the frontier before the first entry of the batch, as of ``logs.peaks``; null in
# rows that were written before. With it the root at any size costs the reading of one object.
PEAKS = """
ALTER TABLE batches ADD COLUMN peaks BLOB;
"""

# What deletion needs. ``deletions``: one row for each part that was deleted, as its tombstone in
# the file ``deletions/tombstones`` says; ``done_ns`` is null until envelope and objects are gone.
# ``parts.until_ns`` is what the log says of its end, ``shredded`` the first reason by which the log
# destroyed its key, ``due_ns`` when to look at it next (null: not computed; -1: never by time).
# ``gone_blocks``: objects that are being removed, and for an hour after (``removed_ns``): no part
# is stored with such a block, for it was looked at before. ``holds`` is what the log says of holds,
# ``held`` the recordings and parts (``name``) that each is on. ``keeping``: numbers of ours.
DELETION = """
ALTER TABLE parts ADD COLUMN until_ns INTEGER;
ALTER TABLE parts ADD COLUMN shredded TEXT;
ALTER TABLE parts ADD COLUMN due_ns INTEGER;
CREATE INDEX parts_due ON parts (due_ns) WHERE stored_ns IS NOT NULL;
CREATE INDEX parts_asked ON parts (shredded)
    WHERE stored_ns IS NOT NULL AND shredded IS NOT NULL;
CREATE TABLE deletions (
    device TEXT NOT NULL,
    part TEXT NOT NULL,
    recording TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    rule TEXT NOT NULL,
    reason TEXT NOT NULL,
    class TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    envelope TEXT NOT NULL,
    done_ns INTEGER,
    PRIMARY KEY (device, part)
) STRICT, WITHOUT ROWID;
CREATE INDEX deletions_pending ON deletions (at_ns) WHERE done_ns IS NULL;
CREATE INDEX deletions_by_part ON deletions (part);
CREATE TABLE gone_blocks (
    sha256 TEXT PRIMARY KEY,
    object TEXT NOT NULL,
    doomed_ns INTEGER NOT NULL,
    removed_ns INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX part_blocks_by_hash ON part_blocks (sha256);
CREATE TABLE holds (
    device TEXT NOT NULL,
    hold TEXT NOT NULL,
    mode TEXT NOT NULL,
    since_ns INTEGER NOT NULL,
    until_ns INTEGER,
    PRIMARY KEY (device, hold)
) STRICT, WITHOUT ROWID;
CREATE TABLE held (
    device TEXT NOT NULL,
    name TEXT NOT NULL,
    hold TEXT NOT NULL,
    PRIMARY KEY (device, name, hold)
) STRICT, WITHOUT ROWID;
CREATE TABLE keeping (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
"""

# Entries of a kind, or with a key, that the program did not know which took them: they are in their
# batch like all others, but no row says what they say until a newer program has read them.
UNREAD = """
CREATE TABLE unread (
    device TEXT NOT NULL REFERENCES devices,
    seq INTEGER NOT NULL,
    ev TEXT NOT NULL,
    PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;
"""

# ``witnessed``: of each epoch that a log opens (entry ``seq``) the size of the first log with that
# entry inside that was cosigned, and when; null until then (docs/sampling.md section 5).
# ``unseen``: calls that another system's records name and the box never saw; nobody's number.
SAMPLING = """
CREATE TABLE witnessed (
    device TEXT NOT NULL REFERENCES devices,
    epoch TEXT NOT NULL,
    seq INTEGER NOT NULL,
    size INTEGER,
    at_ns INTEGER,
    PRIMARY KEY (device, epoch)
) STRICT, WITHOUT ROWID;
CREATE INDEX witnessed_waiting ON witnessed (device, seq) WHERE size IS NULL;
CREATE TABLE unseen (
    device TEXT NOT NULL REFERENCES devices,
    source TEXT NOT NULL,
    row INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    duration_ms INTEGER,
    state TEXT NOT NULL,
    found_ns INTEGER NOT NULL,
    PRIMARY KEY (device, source, row)
) STRICT, WITHOUT ROWID;
CREATE INDEX unseen_by_start ON unseen (device, start_ns);
"""

CATALOGUE: tuple[str, ...] = (ENROLMENT, COLLECTION, PEAKS, DELETION, UNREAD, SAMPLING)

# A file of its own: whoever restores an old catalogue must not bring destroyed keys back.
# ``block`` is the envelope block (docs/envelope-format.md) that came with the part.
ENVELOPES: tuple[str, ...] = (
    """
CREATE TABLE envelopes (
    device TEXT NOT NULL,
    part TEXT NOT NULL,
    block BLOB NOT NULL,
    stored_ns INTEGER NOT NULL,
    PRIMARY KEY (device, part)
) STRICT, WITHOUT ROWID;
""",
    # ``key``: the name of the key under which ``block`` is sealed; null in rows of an older
    # version, which hold it as it came. ``keys.until`` is the group: the day on which its parts
    # end. A retired key seals nothing more, and is destroyed when no row names it.
    """
ALTER TABLE envelopes ADD COLUMN key TEXT;
CREATE INDEX envelopes_by_key ON envelopes (key);
CREATE TABLE keys (
    key TEXT PRIMARY KEY,
    until TEXT NOT NULL,
    retired_ns INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_in_use ON keys (until) WHERE retired_ns IS NULL;
""",
)
