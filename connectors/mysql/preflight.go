package mysql

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors/tlsstore"
)

// Validate checks the configuration against the server: everything that would stop the task, or surprise later, with
// the SQL that mends it.
func (c connector) Validate(ctx context.Context, config map[string]string) []configs.Problem {
	s, err := parse(c.flavor, config)
	if err != nil {
		return []configs.Problem{configs.KeyError("", err.Error())}
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return []configs.Problem{connectProblem(err)}
	}
	defer conn.close()
	p := &preflight{s: s, conn: conn, user: s.v.String("database.user")}
	for _, check := range []func(context.Context) error{p.checkServer, p.rights, p.replicas, p.tables, p.signals} {
		if err := check(ctx); err != nil {
			p.bad("database.hostname", "The checks could not be finished: %v", err)
			break
		}
	}
	return p.problems
}

// connectProblem puts the reason why there is no connection on the key that is to blame.
func connectProblem(err error) configs.Problem {
	key := "database.hostname"
	var my *mysql.MyError
	var dns *net.DNSError
	var store *tlsstore.Error
	switch {
	case errors.As(err, &store):
		key = store.Key
	case errors.As(err, &dns):
	case errors.As(err, &my) && my.Code == erAccessDenied:
		key = "database.password"
	case strings.Contains(err.Error(), "database.initial.statements"):
		key = "database.initial.statements"
	case strings.Contains(err.Error(), "tls") || strings.Contains(err.Error(), "certificate") || isNoTLS(err):
		key = "database.ssl.mode"
	}
	return configs.KeyError(key, "Cannot connect: "+err.Error())
}

// preflight collects problems.
type preflight struct {
	s        *settings
	conn     *session
	server   *server
	user     string
	problems []configs.Problem
}

func (p *preflight) bad(key, format string, args ...any) {
	p.problems = append(p.problems, configs.KeyError(key, fmt.Sprintf(format, args...)))
}

func (p *preflight) warn(key, format string, args ...any) {
	p.problems = append(p.problems, configs.KeyWarning(key, fmt.Sprintf(format, args...)))
}

// streams reports whether the log is read.
func (p *preflight) streams() bool { return p.s.snapshotMode != "initial_only" }

func (p *preflight) checkServer(ctx context.Context) (err error) {
	if p.server, err = readServer(ctx, p.conn); err != nil {
		return err
	}
	sv := p.server
	if sv.mariadb != p.s.flavor.mariadb {
		other := mysqlFlavor()
		if sv.mariadb {
			other = mariadbFlavor()
		}
		p.bad("database.hostname", "The server is a %s (%s). Mend: set connector.class=%s.", other.title, sv.version, other.class)
	}
	if !p.streams() {
		return nil
	}
	if !sv.logging {
		p.bad("database.hostname", "The server has no binary log. Mend: set log_bin and server_id in its configuration, and restart it.")
	}
	if sv.format != "ROW" {
		p.bad("database.hostname", "binlog_format is %s. Mend: SET GLOBAL binlog_format = ROW; and let all sessions connect anew.", sv.format)
	}
	if sv.options != "" {
		p.bad("database.hostname", "binlog_row_value_options is %s: updates of JSON columns are logged as differences. Mend: SET GLOBAL binlog_row_value_options = ''.", sv.options)
	}
	if sv.image != "" && sv.image != "FULL" {
		p.warn("unavailable.value.placeholder", "binlog_row_image is %s: columns that an update did not change have the placeholder, or null. Mend: SET GLOBAL binlog_row_image = FULL.", sv.image)
	}
	if !sv.described {
		p.warn("database.hostname", "binlog_row_metadata is not FULL: the definitions of tables are kept beside the source offset and moved by the statements in the log. Safer: SET GLOBAL binlog_row_metadata = FULL.")
	}
	if sv.expire > 0 && sv.expire < 86400 {
		p.warn("database.hostname", "The server purges its binary logs after %d seconds: a source that stands still for longer must read everything anew. Mend: SET GLOBAL binlog_expire_logs_seconds = 604800.", sv.expire)
	}
	if p.s.locking == "none" && !sv.gtids && p.s.snapshotMode != "no_data" {
		p.warn("snapshot.locking.mode", "Without GTIDs the rows of a snapshot cannot be joined to the log without a lock, and it will be refused. Mend: SET GLOBAL gtid_mode = ON (in its four steps), or snapshot.locking.mode=minimal.")
	}
	if p.s.query && !sv.queries {
		p.warn("include.query", "The server does not log statements. Mend: SET GLOBAL %s = ON.", map[bool]string{false: "binlog_rows_query_log_events", true: "binlog_annotate_row_events"}[sv.mariadb])
	}
	return nil
}

// rights reads what the user may do.
func (p *preflight) rights(ctx context.Context) error {
	rows, err := p.conn.query(ctx, "SHOW GRANTS")
	if err != nil {
		return fmt.Errorf("read the user's rights: %w", err)
	}
	var global string
	for _, r := range rows {
		if strings.Contains(r[0], " ON *.* TO ") {
			global += strings.ToUpper(strings.Split(r[0], " ON *.* TO ")[0]) + ","
		}
	}
	has := func(names ...string) bool {
		if strings.Contains(global, "ALL PRIVILEGES") {
			return true
		}
		for _, n := range names {
			for _, g := range strings.Split(strings.TrimPrefix(global, "GRANT "), ",") {
				if strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(g), "GRANT ")) == n {
					return true
				}
			}
		}
		return false
	}
	var missing []string
	if p.streams() && !has("REPLICATION SLAVE", "REPLICATION REPLICA") {
		missing = append(missing, "REPLICATION SLAVE")
	}
	if !has("REPLICATION CLIENT", "BINLOG MONITOR", "SUPER") {
		missing = append(missing, "REPLICATION CLIENT")
	}
	if len(missing) > 0 {
		p.bad("database.user", "The user %s may not read the binary log. Mend: GRANT %s ON *.* TO %[1]s.", p.user, strings.Join(missing, ", "))
	}
	if p.s.locking != "none" && !has("RELOAD", "FLUSH_TABLES") {
		p.warn("snapshot.locking.mode", "The user %s may not take the global read lock: a snapshot locks the captured tables one by one, for a moment. Mend: GRANT RELOAD ON *.* TO %[1]s.", p.user)
	}
	return nil
}

// replicas finds another replica of the same number.
func (p *preflight) replicas(ctx context.Context) error {
	if !p.streams() {
		return nil
	}
	sql := "SHOW SLAVE HOSTS"
	if p.server.atLeast(8, 1) {
		sql = "SHOW REPLICAS"
	}
	rows, err := p.conn.query(ctx, sql)
	if err != nil {
		return nil // a right that nothing else needs
	}
	for _, r := range rows {
		if r[0] == strconv.FormatUint(uint64(p.s.serverID), 10) && (len(r) < 2 || r[1] != "sluice") {
			p.bad("database.server.id", "The number %s is that of another replica (%s). Two of them would cut each other off. Mend: take another number.", r[0], r[1])
		}
	}
	r, err := p.conn.one(ctx, "SELECT @@GLOBAL.server_id")
	if err == nil && r[0] == strconv.FormatUint(uint64(p.s.serverID), 10) {
		p.bad("database.server.id", "The number %s is the server's own. Mend: take another number.", r[0])
	}
	return nil
}

// tables checks what is captured.
func (p *preflight) tables(ctx context.Context) error {
	cat := &catalog{s: p.s, conn: p.conn}
	entries, err := cat.tables(ctx, p.s.captures)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		p.warn("table.include.list", "No table of the server is captured, or the user %s may not see it. Tables are written database.table, and each pattern must match the whole name.", p.user)
	}
	c := &compiler{s: p.s, codecs: codecs{modes: p.s.values, charsets: &charsets{conn: p.conn, known: map[string]decoder{}}}, source: p.s.flavor.sourceSchema()}
	var keyless, dropped []string
	for _, e := range entries {
		if e.def, err = cat.define(ctx, e.name); err != nil {
			return err
		}
		if e.def == nil {
			continue
		}
		t, err := c.compile(ctx, e.name, e.def)
		if err != nil {
			p.bad("message.key.columns", "%v.", err)
			continue
		}
		if t.keySchema == nil {
			keyless = append(keyless, t.id)
		}
		for _, d := range t.dropped {
			dropped = append(dropped, t.id+"."+d)
		}
	}
	if len(keyless) > 0 {
		p.warn("message.key.columns", "%s have no key: their records have none either, so compaction and upserts do not work. Mend: add a primary key, or name columns in message.key.columns.", some(keyless))
	}
	if len(dropped) > 0 {
		p.warn("column.exclude.list", "Columns of types without a mapping are left out: %s.", some(dropped))
	}
	return nil
}

// most is how many names a message has.
const most = 10

func some(names []string) string {
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}
