package main

import (
	"fmt"
	"net/url"
	"os"
	"strconv"

	"github.com/go-mysql-org/go-mysql/client"

	"github.com/sluicehub/sluice/integration/services"
	"github.com/sluicehub/sluice/integration/worker"
)

// mysql is the MySQL server, whose table is made when something first needs it.
func (b *bench) mysql() (origin, error) {
	u, err := url.Parse(os.Getenv(services.EnvMySQL))
	if err != nil || u.Host == "" {
		return origin{}, fmt.Errorf("%s must name a MySQL server: run `make bench` (%v)", services.EnvMySQL, err)
	}
	o := origin{topic: "bench.bench.orders",
		put: func(w *worker.Worker, name, snapshot string) error {
			password, _ := u.User.Password()
			return w.Put(b.ctx, name, map[string]string{
				"connector.class":   "io.debezium.connector.mysql.MySqlConnector",
				"database.hostname": u.Hostname(), "database.port": u.Port(), "database.user": u.User.Username(), "database.password": password,
				"topic.prefix": database, "table.include.list": "bench.orders,bench.large", "include.schema.changes": "false",
				"snapshot.mode": snapshot, "snapshot.max.threads": "2", "snapshot.include.collection.list": "bench.orders",
			})
		},
		exec: func(statements ...string) error { return b.mysqlExec(u, statements...) },
		end:  func(w *worker.Worker, _ string) error { return w.Stop() },
	}
	o.change = func() (int, error) {
		n := b.changes()
		var statements []string
		for from := 0; from < n; from += 1000 {
			statements = append(statements, fmt.Sprintf("UPDATE orders SET total = total + 1, changed = now(6) WHERE id > %d AND id <= %d", from, from+1000))
		}
		return n, o.exec(statements...)
	}
	if b.mysqlMade {
		return o, nil
	}
	b.mysqlMade = true
	return o, o.exec("CREATE DATABASE bench", "USE bench",
		`CREATE TABLE orders (id bigint AUTO_INCREMENT PRIMARY KEY, customer int NOT NULL, email text, total decimal(12,2), currency char(3), note text,
			created timestamp(6) NOT NULL DEFAULT now(6), changed timestamp(6) NULL, state int)`,
		"INSERT INTO orders (customer, email, total, currency, note, changed, state) "+numbers(b.rows)+
			"SELECT i % 10000, concat('customer', i, '@example.com'), (i % 100000) / 100.0, 'EUR', repeat('x', 64), now(6), i % 5 FROM s",
		"ANALYZE TABLE orders", "CREATE TABLE large LIKE orders")
}

// numbers is the head of a statement that reads the numbers from 1 on as s.i.
func numbers(n int) string {
	return "WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < " + strconv.Itoa(n) + ") "
}

// mysqlExec runs statements in a session of their own, in the table's database if there is one.
func (b *bench) mysqlExec(u *url.URL, statements ...string) error {
	password, _ := u.User.Password()
	conn, err := client.Connect(u.Host, u.User.Username(), password, "")
	if err != nil {
		return err
	}
	defer conn.Close()
	first := []string{"SET SESSION cte_max_recursion_depth = 100000000"}
	if len(statements) == 0 || statements[0] != "CREATE DATABASE bench" {
		first = append(first, "USE bench")
	}
	for _, s := range append(first, statements...) {
		if _, err := conn.Execute(s); err != nil {
			return fmt.Errorf("%.60s: %w", s, err)
		}
	}
	return nil
}

// mysqlLarge measures one transaction of twice as many rows as the table has.
func (b *bench) mysqlLarge() (result, error) {
	o, err := b.mysql()
	if err != nil {
		return result{}, err
	}
	o.topic = "bench.bench.large"
	o.change = func() (int, error) {
		return 2 * b.rows, o.exec("INSERT INTO large (customer, email, total, currency, note, changed, state) " + numbers(2*b.rows) +
			"SELECT i % 10000, concat('customer', i, '@example.com'), (i % 100000) / 100.0, 'EUR', repeat('x', 64), now(6), i % 5 FROM s")
	}
	return b.streaming(o, "json", "INSERT INTO large (customer) VALUES (1)")
}
