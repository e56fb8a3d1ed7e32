-- The epoch in which a pass's number counts. So far there has been none but the property's.
ALTER TABLE pass ADD COLUMN epoch BIGINT NOT NULL DEFAULT 0;
UPDATE pass SET epoch = (SELECT p.epoch FROM property p WHERE p.id = pass.property);
