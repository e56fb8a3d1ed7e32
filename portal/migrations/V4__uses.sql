-- Keys with a number of uses. See protocol/src/uses: what is here is the ledger of each, as rows.

CREATE TABLE budget (
    property BYTEA NOT NULL,
    key_id BYTEA NOT NULL,
    id BYTEA NOT NULL,
    epoch BIGINT NOT NULL,
    max_uses BIGINT NOT NULL,
    raised BIGINT NOT NULL,
    until BIGINT,
    PRIMARY KEY (property, key_id)
);
CREATE UNIQUE INDEX budget_id ON budget (property, id);

CREATE TABLE lease (
    property BYTEA NOT NULL,
    budget BYTEA NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    ceiling BIGINT NOT NULL,
    spent BIGINT NOT NULL,
    number_epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    ordered BIGINT NOT NULL,
    confirmed_epoch BIGINT NOT NULL,
    confirmed BIGINT NOT NULL,
    written_off BIGINT NOT NULL,
    awaited BIGINT NOT NULL,
    settled BIGINT NOT NULL,
    PRIMARY KEY (property, budget, door, generation)
);
CREATE INDEX lease_door ON lease (property, door, generation);

-- All uses are spent, as far as doors have signed for it.
ALTER TABLE door_key ADD COLUMN used_up BIGINT NOT NULL DEFAULT 0;

-- How many uses of each counted key a door that cannot ask is given ahead.
ALTER TABLE property ADD COLUMN uses_ahead BIGINT NOT NULL DEFAULT 1;

-- One more with each connection of the door, at whichever instance: what an older one asks for is dropped.
ALTER TABLE door ADD COLUMN line BIGINT NOT NULL DEFAULT 0;
