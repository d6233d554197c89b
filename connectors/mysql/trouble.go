package mysql

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"

	"github.com/sluicehub/sluice/connectors"
)

// Error numbers of the server (MySQL reference, "Server Error Message Reference").
const (
	erDbAccessDenied    = 1044
	erAccessDenied      = 1045
	erBadDb             = 1049
	erLockWaitTimeout   = 1205
	erTableAccessDenied = 1142
	erNoSuchTable       = 1146
	erSpecificAccess    = 1227
	erTableDefChanged   = 1412
	erMasterFatal       = 1236
	erSameReplica       = 4052 // MariaDB
)

// trouble classes an error of the database or of the way to it. An error that has a class already keeps it.
func trouble(op string, err error) error {
	var classed *connectors.Error
	if err == nil || errors.As(err, &classed) || errors.Is(err, context.Canceled) {
		return err
	}
	out := &connectors.Error{Op: op, Class: connectors.ClassEnvironment, Retriable: true, Err: err}
	var my *mysql.MyError
	if errors.As(err, &my) {
		out.Class, out.Retriable, out.Remedy = classify(my)
	}
	return out
}

func classify(my *mysql.MyError) (class connectors.Class, retriable bool, remedy string) {
	switch my.Code {
	case erMasterFatal, erSameReplica:
		return classifyDump(my.Message)
	case erAccessDenied:
		return connectors.ClassEnvironment, true, "check database.user and database.password"
	case erDbAccessDenied, erTableAccessDenied:
		return connectors.ClassEnvironment, true, "GRANT SELECT on what the message names to database.user"
	case erSpecificAccess:
		return connectors.ClassEnvironment, true, "grant what the message names to database.user: GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO it"
	case erBadDb:
		return connectors.ClassEnvironment, true, "check database.include.list"
	}
	return connectors.ClassEnvironment, true, ""
}

// classifyDump decides what error 1236 means, which the server gives for everything that keeps it from sending its log.
func classifyDump(message string) (class connectors.Class, retriable bool, remedy string) {
	m := strings.ToLower(message)
	switch {
	case strings.Contains(m, "same server_uuid/server_id"), strings.Contains(m, "same server_id"):
		return connectors.ClassEnvironment, true, "another replica has the same number: set database.server.id to one that nobody uses (SHOW REPLICAS lists them)"
	case strings.Contains(m, "max_allowed_packet"):
		return connectors.ClassConfig, false, "SET GLOBAL max_allowed_packet = 1073741824 on the server"
	}
	return connectors.ClassGone, false, ""
}

// gone is an error of the class gone with the way out of it.
func gone(op, remedy, format string, args ...any) error {
	return &connectors.Error{Op: op, Class: connectors.ClassGone, Remedy: remedy, Err: fmt.Errorf(format, args...)}
}

// wrong is an error of the class config.
func wrong(op, remedy, format string, args ...any) error {
	return &connectors.Error{Op: op, Class: connectors.ClassConfig, Remedy: remedy, Err: fmt.Errorf(format, args...)}
}

// afresh is the remedy when what was captured so far has lost its connection to the log.
func afresh(connector string) string {
	return fmt.Sprintf("PUT /connectors/%s/stop, DELETE /connectors/%[1]s/offsets, PUT /connectors/%[1]s/resume: the tables are then read anew (snapshot.mode=when_needed does that by itself); "+
		"keep the log longer with SET GLOBAL binlog_expire_logs_seconds (Amazon RDS: CALL mysql.rds_set_configuration('binlog retention hours', 72))", connector)
}

// explain gives an error that says that the log is gone its remedy.
func (t *task) explain(err error) error {
	var e *connectors.Error
	if errors.As(err, &e) && e.Class == connectors.ClassGone && e.Remedy == "" {
		c := *e
		c.Remedy = afresh(t.name)
		return &c
	}
	return err
}

// isDenied reports whether the server says that the user may not do that.
func isDenied(err error) bool {
	var my *mysql.MyError
	return errors.As(err, &my) && (my.Code == erDbAccessDenied || my.Code == erAccessDenied || my.Code == erTableAccessDenied || my.Code == erSpecificAccess)
}
