package jdbc

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/connectors"
)

// pooling is PostgreSQL behind a pooler that shares sessions.
type pooling struct{ *postgres }

func (p pooling) connect(ctx context.Context) (conn, error) {
	c, err := p.postgres.connect(ctx)
	if err == nil {
		c.(*postgresConn).pooled = true
	}
	return c, err
}

// The same rows arrive by COPY and by arrays, in one lane and in several, and nothing is left in a session that a pooler
// shares.
func TestPostgresPaths(t *testing.T) {
	t.Parallel()
	s := onPostgres(t)
	for _, pooled := range []bool{false, true} {
		for _, lanes := range []string{"1", "3"} {
			s.exec(t, "DROP TABLE IF EXISTS orders", "DROP TABLE IF EXISTS "+offsetsTable)
			r := s.start(t, append(upsert, "connection.lanes", lanes)...)
			if pooled {
				x := r.task.(*task)
				x.mu.Lock()
				x.dialect = pooling{x.dialect.(*postgres)}
				x.mu.Unlock()
			}
			var records []connectors.Record
			for i := range 18_000 {
				records = append(records, flat(i, fmt.Sprint("name ", i), nil))
			}
			r.put(records...)
			r.flush()
			records = nil
			for i := range 18_000 {
				if i%3 == 0 {
					records = append(records, tombstone(i))
				} else {
					records = append(records, flat(i, nil, i))
				}
			}
			r.put(records...)
			r.flush()
			s.want(t, "SELECT count(*), sum(n), count(name) FROM orders", "12000|108000000|0")
			if got := r.refused(); len(got) > 0 {
				t.Errorf("refused: %d, %v", len(got), r.causes[0])
			}
			stop(r)
		}
	}
}

// PostgreSQL cuts names off behind 63 bytes, and says so in a notice only. Tables and columns are found by what it made
// of their names.
func TestLongNames(t *testing.T) {
	t.Parallel()
	s := onPostgres(t)
	long := strings.Repeat("é", 35) // 70 bytes, and 63 is in the middle of one
	schema := structOf("row", "id", connectors.Int64Schema, long, connectors.OptionalStringSchema)
	wider := structOf("row", "id", connectors.Int64Schema, long, connectors.OptionalStringSchema, "x"+long, connectors.OptionalStringSchema)
	r := s.start(t, upsert...)
	r.put(connectors.Record{Topic: "t" + long, Key: data(keySchema, []any{1}), Value: data(schema, []any{1, "a"})},
		connectors.Record{Topic: "t" + long, Key: data(keySchema, []any{2}), Value: data(wider, []any{2, "b", "c"})})
	r.flush()
	if len(r.refused()) > 0 {
		t.Fatalf("refused: %v", r.causes)
	}
	s.want(t, "SELECT * FROM t"+long+" ORDER BY id", "1|a|", "2|b|c")
	both := structOf("row", "id", connectors.Int64Schema, long, connectors.OptionalStringSchema, long+"2", connectors.OptionalStringSchema)
	r.put(connectors.Record{Topic: "t" + long, Key: data(keySchema, []any{3}), Value: data(both, []any{3, "b", "c"})})
	if err := r.tryFlush(); connectors.ClassOf(err) != connectors.ClassConfig && len(r.refused()) != 1 {
		t.Errorf("two fields of one column: %v, %v", err, r.causes)
	}
}
