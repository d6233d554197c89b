package jdbc

import (
	"context"
	"fmt"
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
