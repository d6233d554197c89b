package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehub/sluice/connectors"
)

// Signal implements connectors.Signaller.
func (t *task) Signal(_ context.Context, s connectors.Signal) error { return t.inbox.Put(s) }

// signals checks the signal table.
func (p *preflight) signals(ctx context.Context) error {
	t := p.s.signals
	if t.Name == "" || !p.streams() {
		return nil
	}
	var columns int
	var insert bool
	err := p.conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), has_table_privilege(c.oid, 'INSERT')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = `+quoteText(t.Schema)+" AND c.relname = "+quoteText(t.Name)).Scan(&columns, &insert)
	const key = "signal.data.collection"
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		p.bad(key, "There is no table %s. Mend: CREATE TABLE %s (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text).", t, quoteTable(t))
	case err != nil:
		return fmt.Errorf("read the signal table: %w", err)
	case columns < 3:
		p.bad(key, "The table %s has %d columns; three are needed: id, type, data.", t, columns)
	case !insert && !p.s.readOnly:
		p.bad(key, "The role %s may not write watermarks into %s. Mend: GRANT INSERT, DELETE ON %s TO %s, or set read.only=true.", p.user, t, quoteTable(t), quote(p.user))
	}
	return nil
}
