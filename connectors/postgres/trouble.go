package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehub/sluice/connectors"
)

// trouble classes an error of the database or of the way to it. An error that has a class already keeps it.
func trouble(op string, err error) error {
	var classed *connectors.Error
	if err == nil || errors.As(err, &classed) || errors.Is(err, context.Canceled) {
		return err
	}
	out := &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Retriable: true, Err: err}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		out.Class, out.Retriable, out.Remedy = classify(pg)
	}
	return out
}

// classify decides by SQLSTATE (PostgreSQL documentation, appendix A).
func classify(pg *pgconn.PgError) (class connectors.Class, retriable bool, remedy string) {
	switch {
	case lostSlot(pg):
		return connectors.ClassGone, false, ""
	case removedSegment(pg) != "": // explain asks the slot
		return connectors.ClassEnvironment, true, ""
	case pg.Code == "42704" && strings.HasPrefix(pg.Message, "replication slot"): // dropped since it was found
		return connectors.ClassEnvironment, true, ""
	case pg.Code == "42501":
		return connectors.ClassEnvironment, true, "grant the role what the message names, or set database.user to a role that has it"
	case pg.Code == "28P01" || strings.HasPrefix(pg.Code, "28"):
		return connectors.ClassEnvironment, true, "check database.user, database.password and the server's pg_hba.conf"
	case pg.Code == "3D000":
		return connectors.ClassEnvironment, true, "check database.dbname"
	case pg.Code == "53400" && strings.Contains(pg.Message, "replication slots"):
		return connectors.ClassEnvironment, true, "drop a replication slot that is not needed, or raise max_replication_slots and restart the server"
	case strings.HasPrefix(pg.Code, "42"):
		return connectors.ClassConfig, false, ""
	}
	return connectors.ClassEnvironment, true, ""
}

// lostSlot reports whether the server says that it no longer has the changes that the slot stands for.
func lostSlot(pg *pgconn.PgError) bool {
	return pg.Code == "55000" && (strings.Contains(pg.Message, "can no longer get changes from replication slot") ||
		strings.Contains(pg.Message, "cannot read from logical replication slot") || strings.Contains(pg.Detail, "invalidated"))
}

// removedSegment returns the file of the log that a session had still to read when the server removed it, "" if the error
// is another one. The slot may need it no more, and then a new session goes on (slot.needs). The SQLSTATE is that of
// whatever failed last in the server, often none (XX000).
func removedSegment(pg *pgconn.PgError) string {
	name, ok := strings.CutPrefix(pg.Message, "requested WAL segment ")
	if name, ok2 := strings.CutSuffix(name, " has already been removed"); ok && ok2 {
		return name
	}
	return ""
}

// gone is an error of the class gone with the way out of it.
func gone(op, remedy, format string, args ...any) error {
	return &connectors.Error{Op: op, Class: connectors.ClassGone, Remedy: remedy, Err: fmt.Errorf(format, args...)}
}

// wrong is an error of the class config.
func wrong(op, remedy, format string, args ...any) error {
	return &connectors.Error{Op: op, Class: connectors.ClassConfig, Remedy: remedy, Err: fmt.Errorf(format, args...)}
}

// formerServer is the remedy when the stored offset is of another server.
func formerServer(connector string) string {
	return "connect to the server that was captured so far, or " + afresh(connector, "")
}

// afresh is the remedy when what was captured so far has lost its connection to the slot.
func afresh(connector, sql string) string {
	r := fmt.Sprintf("PUT /connectors/%s/stop, DELETE /connectors/%[1]s/offsets, PUT /connectors/%[1]s/resume: the tables are then read anew (snapshot.mode=when_needed does that by itself)", connector)
	if sql != "" {
		r = sql + ", then " + r
	}
	return r
}
