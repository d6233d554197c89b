package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/sluicehub/sluice/connectors"
)

// A stored offset is a place in the log of one server. Debezium's offsets do not say of which; so a source partition of
// its own, beside Debezium's, does:
//
//	{"server":"shop","of":"server"}   {"system_identifier":"7412345678901234567"}
//
// The identifier is made by initdb. A standby, a promoted standby and a backup have that of their origin. An offset of
// Debezium, or one that a person wrote, comes without it and is checked by slot and log only (guard.go).

// ofServer is the part of the source partition that says which server the offsets are of.
const ofServer = "server"

// identity is the source offset that names the server.
type identity struct {
	System string `json:"system_identifier"`
}

func (s *settings) identityPartition() json.RawMessage {
	return connectors.MarshalOffset(sourcePartition{Server: s.prefix, Of: ofServer})
}

// storedSystem returns the identifier of the server that the stored offsets are of, "" if it is not known.
func (s *settings) storedSystem(offsets []connectors.SourceOffset) string {
	for _, o := range offsets {
		var part sourcePartition
		var id identity
		if json.Unmarshal(o.Partition, &part) == nil && part == (sourcePartition{s.prefix, ofServer}) && json.Unmarshal(o.Offset, &id) == nil {
			return id.System
		}
	}
	return ""
}

// readSystem asks the server which one it is. A role that may not know leaves it unknown.
func (t *task) readSystem(ctx context.Context) error {
	err := t.control.QueryRow(ctx, "SELECT system_identifier::text FROM pg_control_system()").Scan(&t.system)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" {
		t.log.Info("the role may not ask for the server's identifier; another server is noticed by slot and log only")
		return nil
	}
	return err
}

// checkSystem reports an error of the class gone if the offsets are of another server.
func (t *task) checkSystem(op string) error {
	if t.system == "" || t.storedSystem == "" || t.system == t.storedSystem {
		return nil
	}
	return gone(op, "connect to the server that was captured so far, or "+afresh(t.name, ""),
		"the stored offset is of the server with the system identifier %s, and this one has %s: its log says nothing about the changes since", t.storedSystem, t.system)
}

// identify appends which server the batch's offset is of, unless that is stored.
func (t *task) identify(b *connectors.Batch) {
	if t.system == t.storedSystem || t.system == "" || len(b.Offsets) == 0 {
		return
	}
	t.storedSystem = t.system
	b.Offsets = append(b.Offsets, connectors.SourceOffset{Partition: t.s.identityPartition(), Offset: connectors.MarshalOffset(identity{t.system})})
}

// checkIdentity says whether an identity that a person wrote is well formed.
func checkIdentity(raw json.RawMessage) error {
	var id identity
	if err := json.Unmarshal(raw, &id); err != nil || id.System == "" {
		return fmt.Errorf(`the offset of this partition must be {"system_identifier":"…"}, not %s`, raw)
	}
	return nil
}
