package jdbcsource

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sluicehub/sluice/connectors"
)

// wrong is an error of the class config.
func wrong(op, remedy, format string, args ...any) error {
	return &connectors.Error{Op: op, Class: connectors.ClassConfig, Remedy: remedy, Err: fmt.Errorf(format, args...)}
}

// trouble classes an error of the database or of the way to it. One that has a class keeps it.
func trouble(op string, err error) error {
	var classed *connectors.Error
	if err == nil || errors.As(err, &classed) {
		return err
	}
	v := judge(err)
	e := &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Err: err, Remedy: v.remedy, Retriable: true}
	if v.fault == faultStatement || v.fault == faultNoColumn {
		e.Class, e.Retriable = connectors.ClassConfig, false
	}
	return e
}

// fault is what an error of a database is about.
type fault uint8

const (
	faultPassing   fault = iota // the connection, a lock, a shutdown: it may work later
	faultLogin                  // user or password
	faultRights                 // what the user may do
	faultDatabase               // the database that connection.url names
	faultNoTable                // a table that is not there
	faultNoColumn               // a column that is not there
	faultStatement              // the statement cannot work
)

// verdict is a fault, and what a person can do about it.
type verdict struct {
	fault  fault
	remedy string
}

var (
	noTable  = verdict{faultNoTable, "create the table, or name another one"}
	noColumn = verdict{faultNoColumn, "correct incrementing.column.name, timestamp.column.name or query"}
)

// key returns the key of the configuration that the fault is about.
func (v verdict) key() string {
	switch v.fault {
	case faultLogin, faultRights:
		return keyUser
	case faultStatement, faultNoTable, faultNoColumn:
		return keyQuery
	}
	return keyURL
}

func judge(err error) verdict {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return judgePostgres(pe.Code)
	}
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		return judgeMySQL(me.Number)
	}
	var se *sqlite.Error
	if errors.As(err, &se) {
		return judgeSQLite(se)
	}
	if errors.Is(err, errNoTable) {
		return noTable
	}
	var refused *pgconn.ConnectError
	var ne net.Error
	if errors.As(err, &refused) || errors.As(err, &ne) {
		return verdict{faultPassing, "check host and port in connection.url, and that the server runs"}
	}
	return verdict{} // the connection broke
}

// judgePostgres goes by SQLSTATE (PostgreSQL's documentation, appendix A).
func judgePostgres(code string) verdict {
	switch code {
	case "28P01", "28000":
		return verdict{faultLogin, "check connection.user and connection.password, and pg_hba.conf of the server"}
	case "3D000":
		return verdict{faultDatabase, "create the database, or correct connection.url"}
	case "42501":
		return verdict{faultRights, "grant the user SELECT on the table, and USAGE on its schema"}
	case "42P01":
		return noTable
	case "42703":
		return noColumn
	case "25P03", "25P04": // what ends a session that waits in a transaction
		return verdict{fault: faultPassing}
	case "57014":
		return verdict{faultPassing, "the query took too long for the server's statement_timeout: make an index on the columns of the mode, or raise it for the user"}
	}
	switch code[:min(2, len(code))] {
	case "08", "40", "53", "55", "57", "58", "XX":
		return verdict{fault: faultPassing}
	case "28":
		return verdict{fault: faultLogin}
	}
	return verdict{fault: faultStatement}
}

// judgeMySQL goes by MySQL's and MariaDB's error numbers.
func judgeMySQL(number uint16) verdict {
	switch number {
	case 1045, 1130, 1698, 1820, 1862, 3118:
		return verdict{faultLogin, "check connection.user and connection.password, and from which hosts the user may connect"}
	case 1049:
		return verdict{faultDatabase, "create the database, or correct connection.url"}
	case 1044, 1142, 1143, 1227:
		return verdict{faultRights, "grant the user SELECT on the table"}
	case 1146:
		return noTable
	case 1054:
		return noColumn
	case 1969, 3024:
		return verdict{faultPassing, "the query took too long for the server: make an index on the columns of the mode, or raise max_statement_time (MySQL: max_execution_time) for the user"}
	case 1129:
		return verdict{faultPassing, "the server shuts this host out after too many broken connections: FLUSH HOSTS there, and raise max_connect_errors"}
	case 1205, 1213, 1040, 1041, 1037, 1047, 1053, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1317, 1412, 1927, 2006, 2013, 4031, 1615, 1020, 1021, 1030:
		return verdict{fault: faultPassing}
	}
	return verdict{fault: faultStatement}
}

// judgeSQLite goes by SQLite's primary result codes.
func judgeSQLite(err *sqlite.Error) verdict {
	switch err.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_SCHEMA:
		return verdict{fault: faultPassing}
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY:
		return verdict{faultDatabase, "check that the file is there, and that the user that runs sluice may read and write it"}
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return verdict{faultDatabase, "the file is no SQLite database, or a damaged one: correct connection.url"}
	}
	switch text := err.Error(); { // there is one code for all of them
	case strings.Contains(text, "no such table"):
		return noTable
	case strings.Contains(text, "no such column"):
		return noColumn
	}
	return verdict{fault: faultStatement}
}
