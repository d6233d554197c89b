package jdbcsource

import (
	"fmt"
	"testing"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/sqldb"
	"github.com/sluicehub/sluice/integration/services"
)

// BenchmarkRead reads a table of 100,000 rows of 9 columns, about 150 bytes each.
func BenchmarkRead(b *testing.B) {
	for _, k := range []sqldb.Kind{sqldb.PostgreSQL, sqldb.MySQL, sqldb.MariaDB, sqldb.SQLite} {
		b.Run(string(k), func(b *testing.B) {
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
			const rows = 100_000
			s.exec(b, "CREATE TABLE seed (d integer NOT NULL)", "INSERT INTO seed VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
				"CREATE TABLE orders (id bigint NOT NULL PRIMARY KEY, customer integer NOT NULL, name varchar(40) NOT NULL, price decimal(12,2) NOT NULL, currency char(3) NOT NULL, "+
					"note varchar(64) NOT NULL, made "+s.stampType()+" NOT NULL, changed "+s.stampType()+" NULL, n integer NOT NULL)",
				fmt.Sprintf("INSERT INTO orders SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + 10000 * e.d, 7, 'Ada Lovelace', 1234.5, 'EUR', '%064d', "+
					"'2024-01-01 00:00:00.123456', '2024-01-01 00:00:00.123456', 1 FROM seed a, seed b, seed c, seed d, seed e", 7))
			r := s.start(b, nil, "mode", "bulk", "table.whitelist", "orders", "poll.interval.ms", "1")
			ctx := r.deadline()
			b.ReportAllocs()
			for b.Loop() {
				var batch connectors.Batch
				for n := 0; n < rows; n += len(batch.Records) {
					batch.Reset()
					if err := r.task.Read(ctx, &batch); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
