package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// server is what the database server is like.
type server struct {
	version      string
	major, minor int
	mariadb      bool
	gtids        bool // transactions have GTIDs
	described    bool // the log describes its tables (binlog_row_metadata=FULL)
	logging      bool
	lower        bool   // names of databases and tables are in lower case
	format       string // binlog_format
	image        string // binlog_row_image
	options      string // binlog_row_value_options
	queries      bool   // statements are in the log
	uuid         string
	expire       int64 // seconds after which a log may be purged, 0 is never
}

func readServer(ctx context.Context, c *session) (*server, error) {
	r, err := c.one(ctx, "SELECT VERSION()")
	if err != nil {
		return nil, fmt.Errorf("read the server's version: %w", err)
	}
	rows, err := c.query(ctx, `SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'gtid_mode', 'binlog_row_metadata', 'binlog_format', 'binlog_row_image',
  'binlog_row_value_options', 'server_uuid', 'binlog_expire_logs_seconds', 'expire_logs_days', 'binlog_rows_query_log_events', 'binlog_annotate_row_events', 'lower_case_table_names')`)
	if err != nil {
		return nil, fmt.Errorf("read the server's settings: %w", err)
	}
	v := map[string]string{}
	for _, r := range rows {
		v[r[0]] = strings.ToUpper(r[1])
	}
	on := func(name string) bool { return v[name] == "ON" || v[name] == "1" }
	s := &server{version: r[0], mariadb: strings.Contains(strings.ToLower(r[0]), "mariadb"), logging: on("log_bin"), lower: v["lower_case_table_names"] == "1", format: v["binlog_format"],
		image: v["binlog_row_image"], options: v["binlog_row_value_options"], described: v["binlog_row_metadata"] == "FULL", uuid: strings.ToLower(v["server_uuid"]),
		queries: on("binlog_rows_query_log_events") || on("binlog_annotate_row_events")}
	s.gtids = s.mariadb || on("gtid_mode")
	fmt.Sscanf(s.version, "%d.%d", &s.major, &s.minor)
	s.expire, _ = strconv.ParseInt(v["binlog_expire_logs_seconds"], 10, 64)
	if days, _ := strconv.ParseFloat(v["expire_logs_days"], 64); s.expire == 0 {
		s.expire = int64(days * 86400)
	}
	return s, nil
}

// atLeast reports whether the server is a MySQL of that version or a later one.
func (s *server) atLeast(major, minor int) bool {
	return !s.mariadb && (s.major > major || s.major == major && s.minor >= minor)
}

// here returns where the server's log ends.
func (s *server) here(ctx context.Context, c *session) (p position, err error) {
	sql := "SHOW MASTER STATUS"
	if s.atLeast(8, 2) {
		sql = "SHOW BINARY LOG STATUS"
	}
	r, err := c.one(ctx, sql)
	if err != nil {
		return p, fmt.Errorf("read the position of the binary log: %w", err)
	}
	p.File = r[0]
	if p.Pos, err = strconv.ParseUint(r[1], 10, 64); err != nil {
		return p, fmt.Errorf("read the position of the binary log: %w", err)
	}
	switch {
	case s.mariadb:
		if r, err = c.one(ctx, "SELECT @@GLOBAL.gtid_binlog_pos"); err != nil {
			return p, fmt.Errorf("read the GTIDs of the binary log: %w", err)
		}
		p.GTIDs = r[0]
	case len(r) > 4 && s.gtids:
		p.GTIDs = strings.ReplaceAll(r[4], "\n", "")
	}
	return p, nil
}

// viewPlace returns where in the log the view of the session's transaction lies, which was begun WITH CONSISTENT SNAPSHOT:
// it has all before the place and nothing behind it. Only MariaDB can tell (its documentation, "Enhancements for START
// TRANSACTION WITH CONSISTENT SNAPSHOT").
func viewPlace(ctx context.Context, c *session) (at mark, err error) {
	rows, err := c.query(ctx, "SHOW SESSION STATUS LIKE 'binlog_snapshot_%'")
	for _, r := range rows {
		switch strings.ToLower(r[0]) {
		case "binlog_snapshot_file":
			at.File = r[1]
		case "binlog_snapshot_position":
			at.Pos, err = strconv.ParseUint(r[1], 10, 64)
		}
	}
	if err == nil && (at.File == "" || at.Pos == 0) {
		err = fmt.Errorf("the server gives %v", rows)
	}
	if err != nil {
		return at, fmt.Errorf("read where in the binary log a view lies: %w", err)
	}
	return at, nil
}

// placeGTIDs returns the last GTIDs before a place in MariaDB's log. The server reads the file up to there.
func placeGTIDs(ctx context.Context, c *session, at mark) (string, error) {
	r, err := c.one(ctx, fmt.Sprintf("SELECT BINLOG_GTID_POS(%s, %d)", quoteText(at.File), at.Pos))
	if err != nil {
		return "", fmt.Errorf("read the GTIDs at %s:%d: %w", at.File, at.Pos, err)
	}
	return r[0], nil
}

// logFile is a file of the binary log.
type logFile struct {
	name string
	size uint64
}

func logFiles(ctx context.Context, c *session) ([]logFile, error) {
	rows, err := c.query(ctx, "SHOW BINARY LOGS")
	if err != nil {
		return nil, err
	}
	var out []logFile
	for _, r := range rows {
		f := logFile{name: r[0]}
		f.size, _ = strconv.ParseUint(r[1], 10, 64)
		out = append(out, f)
	}
	return out, nil
}
