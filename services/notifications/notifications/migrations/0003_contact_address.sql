-- Whom a mail goes to is an address; `mail` is the name of a table here. First of three steps: both columns, and the same
-- in each whichever of them a release writes.
ALTER TABLE contact ADD COLUMN address text;
UPDATE contact SET address = mail;

CREATE FUNCTION contact_same() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.address IS DISTINCT FROM OLD.address THEN
        NEW.mail := NEW.address;
    ELSE
        NEW.address := NEW.mail;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER contact_same BEFORE INSERT OR UPDATE ON contact FOR EACH ROW EXECUTE FUNCTION contact_same();
