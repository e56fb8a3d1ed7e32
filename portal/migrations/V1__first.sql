-- Written once for SQLite and PostgreSQL: BIGINT, TEXT and BYTEA only (SQLite takes any type name). Times are
-- seconds since 1970 unless a column ends in _ms; booleans are 0 and 1. Every key of a property's table begins
-- with the property. The tables up to "property" belong to the portal as a whole.

CREATE TABLE portal_secret (
    name TEXT NOT NULL PRIMARY KEY,
    value BYTEA NOT NULL
);

-- Accounts and sessions -----------------------------------------------------------------------------------------

CREATE TABLE account (
    id BYTEA NOT NULL PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- Which address is known at which property.
CREATE TABLE directory (
    email TEXT NOT NULL,
    property BYTEA NOT NULL,
    person BYTEA NOT NULL,
    PRIMARY KEY (email, property)
);

CREATE TABLE device (
    id BYTEA NOT NULL PRIMARY KEY,
    account BYTEA NOT NULL,
    jkt TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    ended_at BIGINT
);

CREATE TABLE sign_in (
    id TEXT NOT NULL PRIMARY KEY,
    email TEXT NOT NULL,
    code_hashes BYTEA NOT NULL,
    tries_left BIGINT NOT NULL,
    used_by TEXT,
    expires_at BIGINT NOT NULL
);

CREATE TABLE access_token (
    hash BYTEA NOT NULL PRIMARY KEY,
    device BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX access_token_device ON access_token (device);

-- state: fresh (never used), used (has successors, serves until one of them is used), dead.
CREATE TABLE refresh_token (
    hash BYTEA NOT NULL PRIMARY KEY,
    device BYTEA NOT NULL,
    parent BYTEA,
    state TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX refresh_token_device ON refresh_token (device);

CREATE TABLE dpop_seen (
    jkt TEXT NOT NULL,
    jti BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (jkt, jti)
);

CREATE TABLE rate (
    bucket TEXT NOT NULL,
    slot BIGINT NOT NULL,
    count BIGINT NOT NULL,
    until BIGINT NOT NULL,
    PRIMARY KEY (bucket, slot)
);

-- Holds no secrets: the code of a sign-in is made when its letter is sent.
CREATE TABLE outbox (
    id BYTEA NOT NULL PRIMARY KEY,
    address TEXT NOT NULL,
    subject TEXT NOT NULL,
    sign_in TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    next_try BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    last_error TEXT
);
CREATE INDEX outbox_next ON outbox (next_try);

-- Offers of controllers that wait for an installer, and what became of them.
CREATE TABLE offer (
    code TEXT NOT NULL PRIMARY KEY,
    offer BYTEA NOT NULL,
    expires_at BIGINT NOT NULL,
    answer TEXT
);

-- Where a link's token and a guest's cookie lead.
CREATE TABLE link_token (
    hash BYTEA NOT NULL PRIMARY KEY,
    property BYTEA NOT NULL,
    link BYTEA NOT NULL
);

CREATE TABLE guest_session (
    hash BYTEA NOT NULL PRIMARY KEY,
    property BYTEA NOT NULL,
    link BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- Properties ----------------------------------------------------------------------------------------------------

CREATE TABLE property (
    id BYTEA NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    zone TEXT NOT NULL,
    offsets TEXT NOT NULL,
    holidays TEXT NOT NULL,
    grant_lifetime BIGINT NOT NULL,
    issuer_key BYTEA NOT NULL,
    reader_ca_key BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    last_change BIGINT NOT NULL,
    last_door BIGINT NOT NULL,
    last_audit BIGINT NOT NULL,
    audit_head BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE change_log (
    property BYTEA NOT NULL,
    audience TEXT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (property, audience, kind, id)
);
CREATE INDEX change_log_number ON change_log (property, audience, number);

CREATE TABLE person (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    email TEXT,
    ordinal BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (property, id)
);
CREATE UNIQUE INDEX person_email ON person (property, email);
CREATE UNIQUE INDEX person_ordinal ON person (property, ordinal);

CREATE TABLE door (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    number BIGINT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    reach TEXT NOT NULL,
    place TEXT NOT NULL,
    stream_address TEXT,
    generation BIGINT,
    connected BIGINT NOT NULL,
    last_contact BIGINT,
    PRIMARY KEY (property, id)
);
CREATE UNIQUE INDEX door_number ON door (property, number);
CREATE UNIQUE INDEX door_name ON door (property, name);

CREATE TABLE controller (
    property BYTEA NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    reader_key BYTEA NOT NULL,
    sealing_key BYTEA NOT NULL,
    certificate BYTEA NOT NULL,
    installed_by BYTEA NOT NULL,
    installed_at BIGINT NOT NULL,
    PRIMARY KEY (property, door, generation)
);

-- The newest signed state of each door.
CREATE TABLE door_state (
    property BYTEA NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    counter BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    list_epoch BIGINT NOT NULL,
    list_version BIGINT NOT NULL,
    number_all BIGINT NOT NULL,
    number_own BIGINT NOT NULL,
    state BYTEA NOT NULL,
    received_at BIGINT NOT NULL,
    PRIMARY KEY (property, door)
);

CREATE TABLE door_key (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    ordinal BIGINT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    all_doors BIGINT NOT NULL,
    rules TEXT NOT NULL,
    created_by BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    withdrawn_at BIGINT,
    PRIMARY KEY (property, id)
);
CREATE UNIQUE INDEX door_key_ordinal ON door_key (property, ordinal);

CREATE TABLE key_person (
    property BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    person BYTEA NOT NULL,
    PRIMARY KEY (property, key_id, person)
);
CREATE INDEX key_person_person ON key_person (property, person);

CREATE TABLE key_door (
    property BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    door BYTEA NOT NULL,
    PRIMARY KEY (property, key_id, door)
);
CREATE INDEX key_door_door ON key_door (property, door);

CREATE TABLE challenge (
    nonce BYTEA NOT NULL PRIMARY KEY,
    property BYTEA NOT NULL,
    owner BYTEA NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE credential (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    person BYTEA NOT NULL,
    device BYTEA NOT NULL,
    usage TEXT NOT NULL,
    public_key BYTEA NOT NULL,
    key_hash BYTEA NOT NULL,
    hardware BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    withdrawn_at BIGINT,
    PRIMARY KEY (property, id)
);
CREATE UNIQUE INDEX credential_key ON credential (property, public_key);
CREATE INDEX credential_hash ON credential (property, key_hash);
CREATE INDEX credential_person ON credential (property, person);

CREATE TABLE grant_document (
    property BYTEA NOT NULL,
    credential BYTEA NOT NULL,
    idx BIGINT NOT NULL,
    doors TEXT NOT NULL,
    keys TEXT NOT NULL,
    document BYTEA NOT NULL,
    signed BIGINT NOT NULL,
    renew_at BIGINT NOT NULL,
    valid_until BIGINT NOT NULL,
    PRIMARY KEY (property, credential, idx)
);
CREATE INDEX grant_document_renew ON grant_document (renew_at);

-- Elements of grants: what a door names in its events and what a revocation list names. One for each credential,
-- key and place (a door's number; none for all doors) while it stands. Beyond four at a door, several keys stand in
-- the element of one of them.
CREATE TABLE element (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    credential BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    door BIGINT,
    rules TEXT NOT NULL,
    stands_in BYTEA NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (property, id)
);
CREATE INDEX element_credential ON element (property, credential);
CREATE INDEX element_key ON element (property, key_id);

CREATE TABLE pass (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    credential BYTEA,
    link BYTEA,
    public_key BYTEA NOT NULL,
    doors TEXT NOT NULL,
    rules TEXT NOT NULL,
    statement BYTEA NOT NULL,
    statement_until BIGINT NOT NULL,
    number BIGINT NOT NULL,
    renew_at BIGINT NOT NULL,
    last_used BIGINT,
    last_door BYTEA,
    created_at BIGINT NOT NULL,
    ended_at BIGINT,
    PRIMARY KEY (property, id)
);
CREATE INDEX pass_key ON pass (property, key_id);
CREATE INDEX pass_credential ON pass (property, credential);
CREATE INDEX pass_renew ON pass (renew_at);

-- What the revocation list names. Kept until nothing that it ends could still count.
CREATE TABLE revoked (
    property BYTEA NOT NULL,
    what TEXT NOT NULL,
    id BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    superseded BIGINT NOT NULL,
    since BIGINT NOT NULL,
    until BIGINT NOT NULL,
    version BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (property, what, id)
);
CREATE INDEX revoked_key ON revoked (property, key_id);

-- When a door's signed state first showed a list, for the proof of withdrawal.
CREATE TABLE list_seen (
    property BYTEA NOT NULL,
    door BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (property, door, epoch, version)
);

CREATE TABLE revocation_list (
    property BYTEA NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    signed BIGINT NOT NULL,
    document BYTEA NOT NULL
);

-- series: 'all', or a door's id in hex.
CREATE TABLE statement (
    property BYTEA NOT NULL,
    series TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    statement BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (property, series, epoch, number)
);

CREATE TABLE link (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    bound_at BIGINT,
    ended_at BIGINT,
    PRIMARY KEY (property, id)
);
CREATE INDEX link_key ON link (property, key_id);

CREATE TABLE event (
    property BYTEA NOT NULL,
    id BYTEA NOT NULL,
    ordinal BIGINT NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    at_ms BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    clock_unsure BIGINT NOT NULL,
    means TEXT NOT NULL,
    denied TEXT,
    person BYTEA,
    key_id BYTEA,
    subject TEXT NOT NULL,
    PRIMARY KEY (property, id)
);
CREATE UNIQUE INDEX event_ordinal ON event (property, ordinal);

-- Who did what, and what was signed: each row's hash covers the one before. Pseudonymous ids only.
CREATE TABLE audit (
    property BYTEA NOT NULL,
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor BYTEA,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (property, number)
);

-- Answers to writes, for those who ask again. Sealed with a key made from the idempotency key, of which only a
-- hash is here.
CREATE TABLE idempotency (
    property BYTEA NOT NULL,
    owner BYTEA NOT NULL,
    key_hash BYTEA NOT NULL,
    body_hash BYTEA NOT NULL,
    status BIGINT NOT NULL,
    answer BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (property, owner, key_hash)
);
