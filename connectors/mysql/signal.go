package mysql

import (
	"context"
	"fmt"

	"github.com/sluicehub/sluice/connectors"
)

// Signal implements connectors.Signaller.
func (t *task) Signal(_ context.Context, s connectors.Signal) error { return t.inbox.Put(s) }

// signals checks the signal table. Whether the user may write to it is seen when it does.
func (p *preflight) signals(ctx context.Context) error {
	t := p.s.signals
	if t.Name == "" || !p.streams() {
		return nil
	}
	r, err := p.conn.one(ctx, "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = "+quoteText(t.Schema)+" AND TABLE_NAME = "+quoteText(t.Name))
	if err != nil {
		return fmt.Errorf("read the signal table: %w", err)
	}
	const key = "signal.data.collection"
	switch r[0] {
	case "0":
		p.bad(key, "There is no table %s. Mend: CREATE TABLE %s (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text).", t, quoteTable(t))
	case "1", "2":
		p.bad(key, "The table %s has %s columns; three are needed: id, type, data.", t, r[0])
	}
	return nil
}
