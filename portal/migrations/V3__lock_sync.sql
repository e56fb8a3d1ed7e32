-- What a statement says: settings, door-settings, pass, log-key. None in rows of before, until the portal starts.
ALTER TABLE statement ADD COLUMN kind TEXT;

-- The bundle that a door's newest state shows.
ALTER TABLE door_state ADD COLUMN bundle_epoch BIGINT NOT NULL DEFAULT 0;
ALTER TABLE door_state ADD COLUMN bundle_number BIGINT NOT NULL DEFAULT 0;

-- The newest bundle of each door without a network. items: what is in it, to know when another one is due. Without
-- header and body: what the controller was commissioned with, so that nothing has to be carried yet.
CREATE TABLE bundle (
    property BYTEA NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL,
    stands_all BIGINT NOT NULL,
    items TEXT NOT NULL,
    header BYTEA,
    body BYTEA,
    made_at BIGINT NOT NULL,
    PRIMARY KEY (property, door)
);

-- Up to which entry a controller's log is kept without a gap, and the receipt that says so.
CREATE TABLE log_kept (
    property BYTEA NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    up_to BIGINT NOT NULL,
    receipt BYTEA,
    PRIMARY KEY (property, door, generation)
);

-- Parcels of logs that phones brought, behind a gap that another phone may fill.
CREATE TABLE log_parcel (
    property BYTEA NOT NULL,
    door BYTEA NOT NULL,
    generation BIGINT NOT NULL,
    after_entry BIGINT NOT NULL,
    up_to BIGINT NOT NULL,
    PRIMARY KEY (property, door, generation, after_entry, up_to)
);
