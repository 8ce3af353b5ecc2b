-- Whose trace a mail belongs to: that of each thing it tells. Of what was due before, nobody knows.
ALTER TABLE delivery ADD COLUMN traceparent text;
