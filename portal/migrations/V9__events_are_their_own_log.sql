-- A sync reads what happened at doors from the events themselves: nothing of an event changes once it is kept, and its
-- ordinal is a number of the change log. No sync has to look at the event of this ordinal, or at those before.
ALTER TABLE property ADD COLUMN old_events BIGINT NOT NULL DEFAULT 0;
CREATE INDEX event_person ON event (property, person, ordinal);
DELETE FROM change_log WHERE kind = 'event';
