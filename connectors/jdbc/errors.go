package jdbc

import (
	"errors"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	sqlite "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// remedyOf is what a person can do about an error of a database, "" if that is not known.
func remedyOf(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch pe.Code {
		case "28P01", "28000":
			return "check connection.user and connection.password, and pg_hba.conf of the server"
		case "3D000":
			return "create the database, or correct connection.url"
		case "3F000":
			return "create the schema, or correct table.name.format"
		case "42501":
			return "grant the user INSERT, UPDATE, DELETE and SELECT on the table (and CREATE on its schema for auto.create, ownership for auto.evolve)"
		case "42P10":
			return "give the table a primary key or unique constraint on exactly the columns of pk.fields"
		case "57014":
			return "if it was the server's statement_timeout: raise it for the user, or lower batch.size"
		case "25006":
			return "the server is a standby: name the primary, or targetServerType=primary with all hosts, in connection.url"
		}
	}
	var me *mysql.MySQLError
	if errors.As(err, &me) {
		switch me.Number {
		case 1045, 1130, 1698:
			return "check connection.user and connection.password, and from which hosts the user may connect"
		case 1049:
			return "create the database, or correct connection.url"
		case 1044, 1142, 1143:
			return "grant the user INSERT, UPDATE, DELETE and SELECT on the table (and CREATE for auto.create, ALTER for auto.evolve)"
		case 1129:
			return "the server shuts this host out after too many broken connections: FLUSH HOSTS there, and raise max_connect_errors"
		case 1969, 3024:
			return "raise the server's max_statement_time for the user, or lower batch.size"
		case 1290, 1792, 1836:
			return "the server is read-only: name one in connection.url that takes writes"
		}
	}
	var se *sqlite.Error
	if errors.As(err, &se) && se.Code()&0xff == sqlite3.SQLITE_CANTOPEN {
		return "make the folder of the file, and let the user that runs sluice write to it"
	}
	return ""
}
