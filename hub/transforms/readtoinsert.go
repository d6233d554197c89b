package transforms

import (
	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

// The encoded operations of a row that a snapshot read, and of an insert.
const opRead, opCreate = "\x02r", "\x02c"

// readToInsert is Debezium's ReadToInsertEvent: rows of a snapshot become inserts.
type readToInsert struct {
	arena *arena
	split splitter
}

func newReadToInsert(_ configs.Values, _ side, a *arena) (transform, error) {
	return &readToInsert{arena: a}, nil
}

func (t *readToInsert) apply(r *connectors.Record) (bool, error) {
	s := r.Value.Schema
	if isNull(r.Value) || !isNamedEnvelope(s) {
		return true, nil
	}
	op, err := opField(s)
	if err != nil {
		return false, err
	}
	src, err := structContent(r.Value)
	if err != nil {
		return false, err
	}
	raws, rest, err := t.split.first(op+1, s, src)
	if err != nil {
		return false, err
	}
	if _, text, err := connectors.ReadPresent(s.Fields[op].Schema, raws[op]); err != nil || string(text) != opRead {
		return err == nil, err
	}
	dst := append(t.arena.take(), r.Value.Bytes[:len(r.Value.Bytes)-len(rest)-len(opRead)]...)
	r.Value.Bytes = t.arena.keep(append(append(dst, opCreate...), rest...))
	return true, nil
}
