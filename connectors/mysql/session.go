package mysql

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Commands and markers of the client/server protocol (MySQL internals, "Text Resultset").
const (
	comQuery  = 0x03
	markError = 0xff
	markEOF   = 0xfe
	markNull  = 0xfb
)

// session is an ordinary connection. One goroutine uses it at a time.
type session struct {
	*client.Conn
	once sync.Once
}

func (s *settings) addr() string {
	return net.JoinHostPort(s.v.String("database.hostname"), strconv.Itoa(s.v.Int("database.port")))
}

// errNoTLS is what the library says to a server that cannot encrypt.
const errNoTLS = "does not support TLS"

// connect opens a session: in UTC, in UTF-8, without limits of time.
func (s *settings) connect(ctx context.Context) (*session, error) {
	c, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	out := &session{Conn: c}
	settings := "SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = 31536000, wait_timeout = 31536000, character_set_results = utf8mb4, autocommit = 1" +
		" /*!80000 , max_execution_time = 0, information_schema_stats_expiry = 0 */" + // MariaDB passes over what is of MySQL 8
		" /*M!100300 , max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0 */"
	for _, statement := range append([]string{settings}, initialStatements(s.v.String("database.initial.statements"))...) {
		if _, err := out.Execute(statement); err != nil {
			out.close()
			if statement != settings {
				err = fmt.Errorf("database.initial.statements: %w", err)
			}
			return nil, err
		}
	}
	return out, nil
}

func (s *settings) dial(ctx context.Context) (*client.Conn, error) {
	encrypt, optional, err := s.tlsConfig()
	if err != nil {
		return nil, err
	}
	open := func(encrypt *tls.Config) (*client.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, s.v.Duration("connect.timeout.ms"))
		defer cancel()
		var d net.Dialer
		return client.ConnectWithDialer(ctx, "tcp", s.addr(), s.v.String("database.user"), s.v.Password("database.password").Reveal(), "", d.DialContext,
			func(c *client.Conn) error {
				if encrypt != nil {
					c.SetTLSConfig(encrypt)
				}
				c.SetAttributes(map[string]string{"program_name": "sluice"})
				c.UnsetCapability(mysql.CLIENT_QUERY_ATTRIBUTES) // which sendQuery does not write
				c.UnsetCapability(mysql.CLIENT_DEPRECATE_EOF)    // nor read
				return c.SetCollation("utf8mb4_general_ci")
			})
	}
	c, err := open(encrypt)
	if err != nil && optional && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) && isNoTLS(err) {
		c, err = open(nil)
	}
	return c, err
}

func isNoTLS(err error) bool {
	return strings.Contains(err.Error(), errNoTLS) || strings.Contains(strings.ToUpper(err.Error()), "SSL")
}

// close cuts the connection. It may be called from any goroutine, more than once: a read that waits then fails.
func (c *session) close() {
	if c != nil {
		// The socket itself: the library's Close also writes what a read that is under way uses.
		c.once.Do(func() { c.Conn.Conn.Conn.Close() })
	}
}

// query runs a statement and returns its rows as texts; NULL is "". It ends when ctx ends, by cutting the connection.
func (c *session) query(ctx context.Context, sql string) ([][]string, error) {
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	r, err := c.Execute(sql)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	defer r.Close()
	if r.Resultset == nil {
		return nil, nil
	}
	out := make([][]string, r.RowNumber())
	for i := range out {
		out[i] = make([]string, r.ColumnNumber())
		for j := range out[i] {
			text, err := r.GetString(i, j)
			if err != nil {
				return nil, err
			}
			out[i][j] = strings.Clone(text) // it shares the result's buffer, which is used again
		}
	}
	return out, nil
}

// one runs a query for one row.
func (c *session) one(ctx context.Context, sql string) ([]string, error) {
	rows, err := c.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, errNoRow
	}
	return rows[0], nil
}

// errNoRow says that a query that should have a row has none.
var errNoRow = errors.New("the server gave no row")

// sendQuery sends a query whose rows are then read with nextRow.
func (c *session) sendQuery(sql string) error {
	c.ResetSequence()
	msg := make([]byte, 5, 5+len(sql))
	msg[4] = comQuery
	if err := c.WritePacket(append(msg, sql...)); err != nil {
		return err
	}
	head, err := c.ReadPacket()
	if err != nil {
		return err
	}
	if len(head) > 0 && head[0] == markError {
		return c.HandleErrorPacket(head)
	}
	columns, _, _ := mysql.LengthEncodedInt(head)
	for range columns {
		if _, err := c.ReadPacket(); err != nil {
			return err
		}
	}
	_, err = c.ReadPacket() // the end of the columns
	return err
}

// nextRow returns the next row as it came; nil is the end. See splitRow.
func (c *session) nextRow() ([]byte, error) {
	p, err := c.ReadPacket()
	switch {
	case err != nil:
		return nil, err
	case len(p) > 0 && p[0] == markError:
		return nil, c.HandleErrorPacket(p)
	case len(p) > 0 && p[0] == markEOF && len(p) < 9:
		return nil, nil
	}
	return p, nil
}

// errRow says that the server sent a row that cannot be taken apart.
var errRow = errors.New("malformed row")

// splitRow takes a row apart.
//
//	for each column: 0xfb for NULL, or length | text
//	length: < 0xfb itself | 0xfc uint16 | 0xfd uint24 | 0xfe uint64
func splitRow(row []byte, cells []cell) ([]cell, error) {
	cells = cells[:0]
	for len(row) > 0 {
		n, skip := int(row[0]), 1
		switch {
		case n == markNull:
			cells = append(cells, cell{kind: cellNull})
			row = row[1:]
			continue
		case n == 0xfc && len(row) >= 3:
			n, skip = int(binary.LittleEndian.Uint16(row[1:])), 3
		case n == 0xfd && len(row) >= 4:
			n, skip = int(row[1])|int(row[2])<<8|int(row[3])<<16, 4
		case n == 0xfe && len(row) >= 9:
			u := binary.LittleEndian.Uint64(row[1:])
			if u > uint64(len(row)) {
				return cells, errRow
			}
			n, skip = int(u), 9
		case n > markNull:
			return cells, errRow
		}
		if n > len(row)-skip {
			return cells, errRow
		}
		cells = append(cells, cell{kind: cellValue, raw: row[skip : skip+n]})
		row = row[skip+n:]
	}
	return cells, nil
}

// initialStatements splits at semicolons; two of them are one in a statement.
func initialStatements(text string) []string {
	const mark = "\x00"
	var out []string
	for _, st := range strings.Split(strings.ReplaceAll(text, ";;", mark), ";") {
		if st = strings.TrimSpace(strings.ReplaceAll(st, mark, ";")); st != "" {
			out = append(out, st)
		}
	}
	return out
}
