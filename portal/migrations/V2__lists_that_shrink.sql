-- When each revocation list was signed: a door that shows one by its signature has a clock that never again goes below.
CREATE TABLE list_signed (
    property BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    version BIGINT NOT NULL,
    signed BIGINT NOT NULL,
    PRIMARY KEY (property, epoch, version)
);
INSERT INTO list_signed (property, epoch, version, signed)
    SELECT property, epoch, version, signed FROM revocation_list;

-- Since when an entry is no longer on the list. The row stays: it proves the withdrawal.
ALTER TABLE revoked ADD COLUMN left_at BIGINT;
CREATE INDEX revoked_on_list ON revoked (property, until) WHERE left_at IS NULL;
