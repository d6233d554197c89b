package sqldb

import (
	"fmt"
	"io"
	"log"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// Postgres returns the driver's configuration for PostgreSQL. Times are UTC in its sessions.
func (a Address) Postgres(user, password string) (*pgconn.Config, error) {
	q := url.Values{}
	for name, value := range a.Params {
		q.Set(name, value)
	}
	if a.TLS != "" {
		q.Set("sslmode", a.TLS)
	}
	u := url.URL{Scheme: "postgres", Host: strings.Join(a.Hosts, ","), Path: "/" + a.Database, RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20")}
	if user != "" {
		u.User = url.User(user)
	}
	config, err := pgconn.ParseConfig(u.String())
	if err != nil {
		return nil, fmt.Errorf("connection.url: %w", err)
	}
	if password != "" {
		config.Password = password
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "sluice"
	}
	// What literals and casts here mean. As parameters of the start they also hold behind a pooler.
	for name, value := range map[string]string{"timezone": "UTC", "standard_conforming_strings": "on", "client_encoding": "UTF8"} {
		config.RuntimeParams[name] = value
	}
	return config, nil
}

// MySQL returns the driver's configurations for MySQL and MariaDB, one for each host.
func (a Address) MySQL(user, password string) ([]*mysql.Config, error) {
	var all []*mysql.Config
	for _, host := range a.Hosts {
		c := mysql.NewConfig()
		c.User, c.Passwd, c.Net, c.Addr, c.DBName, c.TLSConfig = user, password, "tcp", host, a.Database, a.TLS
		if c.TLSConfig == "" {
			c.TLSConfig = "preferred"
		}
		c.ClientFoundRows = true // an update that changes nothing has found its row all the same
		c.MaxAllowedPacket = 0   // the server says
		c.Logger = log.New(io.Discard, "", 0)
		if err := c.Apply(mysql.Charset("utf8mb4", "")); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}
