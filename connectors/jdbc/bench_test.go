package jdbc

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
	"github.com/sluicehub/sluice/connectors/sqldb"
	"github.com/sluicehub/sluice/integration/services"
)

// ordersSchema is the table of all yardsticks: nine columns, about 150 bytes a row.
func ordersSchema() *connectors.Schema {
	zoned := cdc.Logical(connectors.String, cdc.ZonedTimestampName)
	return structOf("orders", "id", connectors.Int64Schema, "customer", connectors.Int32Schema, "status", connectors.StringSchema,
		"total", cdc.Decimal(12, 2), "currency", connectors.StringSchema, "note", connectors.StringSchema, "created", zoned, "updated", zoned, "version", connectors.Int32Schema)
}

func orders(from, to int) []connectors.Record {
	row := ordersSchema()
	records := make([]connectors.Record, 0, to-from)
	template := change(row, "c", 0, nil, []any{0, 0, "", []byte{0}, "", "", "infinity", "infinity", 0})
	keys, envelope := template.Key.Schema, template.Value.Schema
	for i := from; i < to; i++ {
		r := change(row, "c", i, nil, []any{i, i % 1000, "shipped", []byte{1, byte(i >> 8), byte(i)}, "EUR",
			fmt.Sprintf("%064d", i), "2024-02-29T12:21:36.789012Z", "2024-02-29T12:21:36.789012Z", i})
		r.Key.Schema, r.Value.Schema = keys, envelope
		records = append(records, r)
	}
	return records
}

// BenchmarkUpsert measures a task from Put to the commit: new rows, then the same again.
func BenchmarkUpsert(b *testing.B) {
	all := orders(0, 200_000)
	for _, k := range []sqldb.Kind{sqldb.PostgreSQL, sqldb.MySQL, sqldb.MariaDB, sqldb.SQLite} {
		for _, lanes := range []string{"1", "2", "4"} {
			if k == sqldb.SQLite && lanes != "1" {
				continue
			}
			b.Run(fmt.Sprintf("%s/lanes=%s", k, lanes), func(b *testing.B) {
				var s *server
				switch k {
				case sqldb.PostgreSQL:
					s = onPostgres(b)
				case sqldb.MySQL:
					s = onMySQL(b, services.UseMySQL(b), k)
				case sqldb.MariaDB:
					s = onMySQL(b, services.UseMariaDB(b), k)
				default:
					s = onSQLite(b)
				}
				config := append([]string{"connection.lanes", lanes, "table.name.format", "${source.table}"}, upsert...)
				for b.Loop() {
					s.exec(b, "DROP TABLE IF EXISTS orders", "DROP TABLE IF EXISTS "+offsetsTable)
					r := s.start(b, config...)
					rate(b, r, all, "new")
					rate(b, r, all, "same")
					b.ReportMetric(float64(r.task.(*task).figures.retries.Load()), "retries")
					b.ReportMetric(float64(r.task.(*task).figures.transactions.Load()), "transactions")
					if len(r.refused()) > 0 {
						b.Fatal(r.causes)
					}
					if err := r.task.Stop(context.Background()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// rate puts as the hub does, by a mebibyte or so at once, and reports how many rows were committed in a second, and the
// processor time of this process for each: the latter also tells something on a machine that has other work.
func rate(b *testing.B, r *run, all []connectors.Record, what string) {
	before, used, rows := b.Elapsed(), processorTime(b), len(all)
	for len(all) > 0 {
		n := min(4096, len(all))
		r.put(all[:n]...)
		all = all[n:]
	}
	r.flush()
	b.ReportMetric(float64(rows)/(b.Elapsed()-before).Seconds(), what+"-rows/s")
	b.ReportMetric((processorTime(b)-used).Seconds()*1e6/float64(rows), what+"-CPU-µs/row")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
