package postgres

import (
	"bytes"
	"encoding/binary"
	"errors"

	"github.com/jackc/pglogrepl"
)

// The messages of pgoutput, protocol version 1 (PostgreSQL documentation, "Logical Replication Message Formats").
// Each is one byte of type and then its fields, in network byte order; strings end with a zero byte. Parsing copies
// nothing: texts are valid as long as the message.

// errPgoutput says that a message of pgoutput is cut off or has an unknown form.
var errPgoutput = errors.New("malformed pgoutput message")

// fields reads the fields of a message one after another. After the first error all reads give zeros.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.b) {
		f.bad, f.b = true, nil
		return make([]byte, min(max(n, 0), 8)) // only the fixed-size readers look into it
	}
	out := f.b[:n:n]
	f.b = f.b[n:]
	return out
}

func (f *fields) byte() byte         { return f.take(1)[0] }
func (f *fields) uint16() uint16     { return binary.BigEndian.Uint16(f.take(2)) }
func (f *fields) uint32() uint32     { return binary.BigEndian.Uint32(f.take(4)) }
func (f *fields) uint64() uint64     { return binary.BigEndian.Uint64(f.take(8)) }
func (f *fields) lsn() pglogrepl.LSN { return pglogrepl.LSN(f.uint64()) }

func (f *fields) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(f.b)) {
		f.bad, f.b = true, nil
		return nil
	}
	return f.take(int(n))
}

func (f *fields) string() string {
	i := bytes.IndexByte(f.b, 0)
	if i < 0 {
		f.bad, f.b = true, nil
		return ""
	}
	s := string(f.b[:i])
	f.b = f.b[i+1:]
	return s
}

func (f *fields) err() error {
	if f.bad {
		return errPgoutput
	}
	return nil
}

// postgresEpoch is 2000-01-01 in microseconds since 1970-01-01.
const postgresEpoch = 946684800000000

// begin is the message B.
type begin struct {
	final pglogrepl.LSN // where the commit record begins
	us    int64         // of the commit, microseconds since 1970
	xid   uint32
}

func parseBegin(b []byte) (begin, error) {
	f := fields{b: b}
	m := begin{final: f.lsn(), us: int64(f.uint64()) + postgresEpoch, xid: f.uint32()}
	return m, f.err()
}

// parseCommit reads the message C: flags, where the commit record begins, where the transaction ends, the time.
func parseCommit(b []byte) (end pglogrepl.LSN, err error) {
	f := fields{b: b}
	f.byte()
	f.lsn()
	end = f.lsn()
	f.uint64()
	return end, f.err()
}

// parseOrigin reads the message O.
func parseOrigin(b []byte) (name string, at pglogrepl.LSN, err error) {
	f := fields{b: b}
	at, name = f.lsn(), f.string()
	return name, at, f.err()
}

// relation is the message R.
type relation struct {
	oid          uint32
	schema, name string
	identity     byte
	columns      []relationColumn
}

type relationColumn struct {
	name string
	typ  uint32
	mod  int32
	key  bool // of the replica identity; under REPLICA IDENTITY FULL every column is
}

func (r *relation) names() []string {
	out := make([]string, len(r.columns))
	for i := range r.columns {
		out[i] = r.columns[i].name
	}
	return out
}

func parseRelation(b []byte) (relation, error) {
	f := fields{b: b}
	r := relation{oid: f.uint32(), schema: f.string(), name: f.string(), identity: f.byte()}
	if r.schema == "" {
		r.schema = "pg_catalog" // says the protocol
	}
	for n := f.uint16(); n > 0 && !f.bad; n-- {
		r.columns = append(r.columns, relationColumn{key: f.byte()&1 == 1, name: f.string(), typ: f.uint32(), mod: int32(f.uint32())})
	}
	return r, f.err()
}

// parseTuple reads a row into cells, of which it keeps the memory.
//
//	count: uint16 | for each column: 'n', or 'u', or 't' length: uint32, text
func (f *fields) tuple(cells []cell) []cell {
	cells = cells[:0]
	b := f.b
	if len(b) < 2 {
		f.bad = true
		return cells
	}
	n := int(binary.BigEndian.Uint16(b))
	b = b[2:]
	for ; n > 0; n-- {
		if len(b) == 0 {
			f.bad = true
			return cells
		}
		kind := b[0]
		b = b[1:]
		switch kind {
		case cellNull, cellUnchanged:
			cells = append(cells, cell{kind: kind})
		case cellText:
			if len(b) < 4 {
				f.bad = true
				return cells
			}
			size := binary.BigEndian.Uint32(b)
			if uint64(size) > uint64(len(b)-4) {
				f.bad = true
				return cells
			}
			cells = append(cells, cell{kind: cellText, text: b[4 : 4+size : 4+size]})
			b = b[4+size:]
		default:
			f.bad = true
			return cells
		}
	}
	f.b = b
	return cells
}

// parseTruncate reads the message T: how many tables, options, their ids.
func parseTruncate(b []byte) ([]uint32, error) {
	f := fields{b: b}
	n := f.uint32()
	f.byte()
	var ids []uint32
	for ; n > 0 && !f.bad; n-- {
		ids = append(ids, f.uint32())
	}
	return ids, f.err()
}

// message is the message M, a logical decoding message.
type message struct {
	transactional bool
	at            pglogrepl.LSN
	prefix        string
	content       []byte
}

func parseMessage(b []byte) (message, error) {
	f := fields{b: b}
	m := message{transactional: f.byte()&1 == 1, at: f.lsn(), prefix: f.string()}
	m.content = f.bytes(f.uint32())
	return m, f.err()
}
