package postgres

import (
	"testing"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors"
)

// TestTrouble classes what the server says.
func TestTrouble(t *testing.T) {
	for _, c := range []struct {
		name    string
		err     pgconn.PgError
		class   connectors.Class
		segment string
	}{
		{"invalidated", pgconn.PgError{Code: "55000", Message: `can no longer get changes from replication slot "s"`}, connectors.ClassGone, ""},
		{"invalidated, 18", pgconn.PgError{Code: "55000", Message: `can no longer access replication slot "s"`, Detail: `This replication slot has been invalidated due to "wal_removed".`}, connectors.ClassGone, ""},
		// Whether these are gone, the slot says.
		{"removed", pgconn.PgError{Code: "58P01", Message: "requested WAL segment 000000010000000000000003 has already been removed"}, connectors.ClassEnvironment, "000000010000000000000003"},
		{"removed, by nothing that failed", pgconn.PgError{Code: "XX000", Message: "requested WAL segment 0000000200000001000000FF has already been removed"}, connectors.ClassEnvironment, "0000000200000001000000FF"},
		{"removed, by what is not ours to grant", pgconn.PgError{Code: "42501", Message: "requested WAL segment 0000000200000001000000FF has already been removed"}, connectors.ClassEnvironment, "0000000200000001000000FF"},
		{"dropped since it was found", pgconn.PgError{Code: "42704", Message: `replication slot "s" does not exist`}, connectors.ClassEnvironment, ""},
		{"no publication", pgconn.PgError{Code: "42704", Message: `publication "p" does not exist`}, connectors.ClassConfig, ""},
		{"another file", pgconn.PgError{Code: "58P01", Message: `could not open file "base/1/2": No such file or directory`}, connectors.ClassEnvironment, ""},
	} {
		if got := connectors.ClassOf(trouble("read", &c.err)); got != c.class {
			t.Errorf("%s: class %s, want %s", c.name, got, c.class)
		}
		if got := removedSegment(&c.err); got != c.segment {
			t.Errorf("%s: segment %q, want %q", c.name, got, c.segment)
		}
	}
}

// TestSlotNeeds asks which files of the log a slot needs.
func TestSlotNeeds(t *testing.T) {
	for _, c := range []struct {
		restart uint64
		segment int64
		file    string
		want    bool
	}{
		{3 << 24, 16 << 20, "000000010000000000000002", false}, // it begins where the file ends
		{3<<24 - 1, 16 << 20, "000000010000000000000002", true},
		{0, 16 << 20, "000000010000000000000002", true}, // lost
		{1<<32 + 255<<24, 16 << 20, "0000000300000001000000FE", false},
		{1<<32 + 255<<24, 16 << 20, "0000000300000001000000FF", true},
		{2 << 32, 1 << 30, "000000010000000100000003", false},
		{2<<32 - 8, 1 << 30, "000000010000000100000003", true},
		{1 << 40, 16 << 20, "something", true},
	} {
		s := slot{restart: pglogrepl.LSN(c.restart), segment: c.segment}
		if got := s.needs(c.file); got != c.want {
			t.Errorf("a slot at %s needs %s: %v", s.restart, c.file, got)
		}
	}
}
