package main

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver of MySQL
	_ "github.com/jackc/pgx/v5/stdlib" // of PostgreSQL
	_ "modernc.org/sqlite"             // of SQLite

	"github.com/sluicehub/sluice/integration/services"
)

// relational is where the relational sink writes to.
type relational struct {
	url, user, password string // as in the sink's configuration
	driver, dsn         string // to look at what arrived
}

// target returns an empty database of a kind.
func (b *bench) target(kind string) (relational, error) {
	const name = "bench_target"
	variable, scheme := services.EnvPostgres, "postgresql"
	switch kind {
	case "SQLite":
		path := filepath.Join(mustTemp(b.dir), "target.db")
		return relational{url: "jdbc:sqlite:" + path, driver: "sqlite", dsn: path + "?_pragma=busy_timeout(60000)"}, nil
	case "MySQL":
		variable, scheme = services.EnvMySQL, "mysql"
	}
	u, err := url.Parse(os.Getenv(variable))
	if err != nil || u.Host == "" {
		return relational{}, fmt.Errorf("%s must name a server: run `make bench` (%v)", variable, err)
	}
	password, _ := u.User.Password()
	d := relational{url: fmt.Sprintf("jdbc:%s://%s/%s", scheme, u.Host, name), user: u.User.Username(), password: password, driver: "pgx"}
	admin := u.String()
	u.Path = "/" + name
	d.dsn = u.String()
	if kind == "MySQL" {
		d.driver, admin = "mysql", fmt.Sprintf("%s:%s@tcp(%s)/", d.user, password, u.Host)
		d.dsn = admin + name
	}
	db, err := sql.Open(d.driver, admin)
	if err != nil {
		return d, err
	}
	defer db.Close()
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + name, "CREATE DATABASE " + name} {
		if _, err := db.ExecContext(b.ctx, statement); err != nil {
			return d, err
		}
	}
	return d, nil
}

// jdbc measures a sink that upserts the table, into an empty one, and then another sink that does it again.
func (b *bench) jdbc(kind string, again bool) (result, error) {
	w, err := b.filled("avro", fmt.Sprintf("fill_%s_%t", strings.ToLower(kind), again))
	if err != nil {
		return result{}, err
	}
	defer w.Close()
	target, err := b.target(kind)
	if err != nil {
		return result{}, err
	}
	db, err := sql.Open(target.driver, target.dsn)
	if err != nil {
		return result{}, err
	}
	defer db.Close()
	var u *usage
	var took time.Duration
	write := func(name string) error {
		if u, err = watch(w); err != nil {
			return err
		}
		began := time.Now()
		if err := w.Put(b.ctx, name, map[string]string{
			"connector.class": "jdbc", "topics": topic, "connection.url": target.url, "connection.user": target.user, "connection.password": target.password,
			"insert.mode": "upsert", "pk.mode": "record_key", "delete.enabled": "true", "auto.create": "true", "table.name.format": "${source.table}",
		}); err != nil {
			return err
		}
		return w.Wait(b.ctx, "the rows", func() error {
			var n int
			err := db.QueryRowContext(b.ctx, "SELECT min(next_offset) FROM _sluice_offsets WHERE connector = '"+name+"'").Scan(&n)
			if err == nil && n < b.rows {
				err = fmt.Errorf("%d of %d rows", n, b.rows)
			}
			took = time.Since(began)
			return err
		})
	}
	if err := write("first"); err != nil {
		return result{}, err
	}
	if again {
		if err := write("second"); err != nil {
			return result{}, err
		}
	}
	if err := u.update(); err != nil {
		return result{}, err
	}
	var n int
	if err := db.QueryRowContext(b.ctx, "SELECT count(*) FROM orders").Scan(&n); err != nil {
		return result{}, fmt.Errorf("count the rows in the target: %w", err)
	}
	if n != b.rows {
		return result{}, fmt.Errorf("the target has %d rows, the source's table was made with %d", n, b.rows)
	}
	return result{b.rows, took, *u, ""}, w.Stop()
}
