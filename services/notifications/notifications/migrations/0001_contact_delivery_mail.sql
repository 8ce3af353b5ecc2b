-- Whom to tell, what there is to tell, and the mails that tell it.

-- One address per tenant, of an office; set by an operator.
CREATE TABLE contact (
    tenant text PRIMARY KEY CHECK (tenant ~ '^2025-[0-9]{2}$'),
    mail   text NOT NULL,
    set_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A mail is a row before it is sent, so that its Message-ID stays the same however often it is tried.
CREATE TABLE mail (
    id       uuid PRIMARY KEY,
    tenant   text NOT NULL,
    rule     text NOT NULL,
    made_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    next_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,
    sent_at  timestamptz,
    error    text
);
CREATE INDEX mail_unsent ON mail (next_at) WHERE sent_at IS NULL;

-- One thing to tell: once per rule and cause, whatever comes twice. What is cancelled stays, for a late repeat.
CREATE TABLE delivery (
    id        uuid PRIMARY KEY,                 -- uuid5(cause, rule)
    rule      text NOT NULL CHECK (rule IN ('rejected', 'waiting', 'revoked')),
    tenant    text NOT NULL,
    cause     uuid NOT NULL,                    -- the submission, or the domain event
    due_at    timestamptz NOT NULL,
    told      jsonb NOT NULL,                   -- what the mail says of it
    cancelled boolean NOT NULL DEFAULT false,
    mail      uuid REFERENCES mail
);
CREATE INDEX delivery_due ON delivery (due_at) WHERE mail IS NULL AND NOT cancelled;
CREATE INDEX delivery_mail ON delivery (mail);

GRANT SELECT, INSERT, UPDATE, DELETE ON contact, mail, delivery TO ocop_app;
