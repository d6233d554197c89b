package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/pingcap/tidb/pkg/parser"
	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/format"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	_ "github.com/pingcap/tidb/pkg/parser/test_driver" // the parser's own values; it cannot parse without some

	"github.com/sluicehub/sluice/connectors/cdc"
)

// statement is what a statement does to tables.
type statement struct {
	kind    statementKind
	sql     string
	changes []tableChange // in order
	// tables are those that are truncated, or that the statement names and whose definition it does not say.
	tables []cdc.Table
	// indexed are tables whose indexes have changed, which is no change of the table in Debezium's sense.
	indexed []tableChange
	// renamed are former names, also of the tables of a database that was dropped.
	renamed []cdc.Table
	// database is the one that the statement makes, alters or drops, and charset what new tables get in it from then on; ""
	// if it does not say.
	database, charset string
}

type statementKind int

const (
	ofNoConcern  statementKind = iota
	changesTable               // or its indexes, or a database
	truncates
	unreadable // it changes a table, and the parser does not know how
	changesRow // a statement instead of rows: the log's format is not ROW
)

// definitions is what statements are applied to: the tables as they are before.
type definitions interface {
	// definition returns a table's definition, nil if there is none.
	definition(name cdc.Table) *definition
	// names returns the tables of a database that have one.
	names(database string) []cdc.Table
	// charset returns the character set that a new table of the database gets.
	charset(database string) string
}

// ddl applies statements to definitions.
type ddl struct {
	parser *parser.Parser
	lower  bool // the server has all names in lower case, however they are written (lower_case_table_names=1)
}

func newDDL(lower bool) *ddl { return &ddl{parser: parser.New(), lower: lower} }

// mode takes the sql_mode of a statement from the variables that the log has with it. They begin with
//
//	0 | flags uint32 | 1 | sql_mode uint64
//
// (Q_FLAGS2_CODE and Q_SQL_MODE_CODE of MySQL's Query_event).
func (d *ddl) mode(variables []byte) {
	const ansiQuotes, noBackslashes = 1 << 2, 1 << 20
	var mode mysql.SQLMode
	if len(variables) >= 14 && variables[0] == 0 && variables[5] == 1 {
		bits := binary.LittleEndian.Uint64(variables[6:])
		if bits&ansiQuotes != 0 {
			mode |= mysql.ModeANSIQuotes
		}
		if bits&noBackslashes != 0 {
			mode |= mysql.ModeNoBackslashEscapes
		}
	}
	d.parser.SetSQLMode(mode)
}

// name returns a name as the server has it.
func (d *ddl) name(name string) string {
	if d.lower {
		return strings.ToLower(name)
	}
	return name
}

func (d *ddl) table(t cdc.Table) cdc.Table {
	return cdc.Table{Schema: d.name(t.Schema), Name: d.name(t.Name)}
}

// errDDL says that a statement does not fit the definitions.
var errDDL = errors.New("the statement does not fit the table's definition")

// read reads a statement, which was run in the database, and what it does to the definitions. It changes nothing.
func (d *ddl) read(sql, database string, defs definitions) (statement, error) {
	st := statement{kind: kindOf(sql), sql: sql}
	if st.kind == ofNoConcern || st.kind == changesRow {
		return st, nil
	}
	nodes, _, err := d.parser.ParseSQL(sql)
	if err != nil {
		nodes, _, err = d.parser.ParseSQL(withoutCompressed(sql))
	}
	if err != nil || len(nodes) != 1 {
		st.kind = unreadable
		return st, nil
	}
	nameTypes(nodes[0], sql)
	a := &applier{ddl: d, defs: defs, database: database, st: &st, made: map[cdc.Table]*definition{}}
	if err := a.apply(nodes[0]); err != nil {
		return st, fmt.Errorf("%w: %s", err, sql)
	}
	return st, nil
}

// applier applies one statement.
type applier struct {
	ddl      *ddl
	defs     definitions
	database string
	st       *statement
	made     map[cdc.Table]*definition // by this statement
}

func (a *applier) name(t *ast.TableName) cdc.Table {
	if t.Schema.O != "" {
		return a.ddl.table(cdc.Table{Schema: t.Schema.O, Name: t.Name.O})
	}
	return a.ddl.table(cdc.Table{Schema: a.database, Name: t.Name.O})
}

func (a *applier) definition(name cdc.Table) *definition {
	if d, ok := a.made[name]; ok {
		return d
	}
	return a.defs.definition(name)
}

func (a *applier) set(kind string, name cdc.Table, d *definition) {
	a.made[name] = d
	a.st.changes = append(a.st.changes, tableChange{kind: kind, name: name, def: d})
}

func (a *applier) apply(node ast.StmtNode) error {
	switch n := node.(type) {
	case *ast.CreateTableStmt:
		return a.create(n)
	case *ast.AlterTableStmt:
		return a.alter(n)
	case *ast.DropTableStmt:
		if n.IsView || n.TemporaryKeyword != ast.TemporaryNone {
			a.st.kind = ofNoConcern
			return nil
		}
		for _, t := range n.Tables {
			a.set("DROP", a.name(t), nil)
		}
	case *ast.RenameTableStmt:
		for _, p := range n.TableToTables {
			a.rename(a.name(p.OldTable), a.name(p.NewTable))
		}
	case *ast.TruncateTableStmt:
		a.st.tables = []cdc.Table{a.name(n.Table)}
	case *ast.CreateIndexStmt:
		a.createIndex(n)
	case *ast.DropIndexStmt:
		name := a.name(n.Table)
		if old := a.definition(name); old != nil {
			d := old.clone()
			d.dropIndex(n.IndexName)
			a.st.indexed = append(a.st.indexed, tableChange{name: name, def: d})
		}
	case *ast.DropDatabaseStmt: // its tables are gone, too: CREATE TABLE IF NOT EXISTS must not meet them
		a.st.database = a.ddl.name(n.Name.O)
		a.st.renamed = a.defs.names(a.st.database)
	case *ast.CreateDatabaseStmt:
		a.st.database, a.st.charset = a.ddl.name(n.Name.O), databaseCharset(n.Options)
	case *ast.AlterDatabaseStmt:
		if a.st.database, a.st.charset = a.ddl.name(n.Name.O), databaseCharset(n.Options); n.AlterDefaultDatabase {
			a.st.database = a.database
		}
	default:
		a.st.kind = unreadable
	}
	return nil
}

func (a *applier) create(n *ast.CreateTableStmt) error {
	if n.TemporaryKeyword != ast.TemporaryNone {
		a.st.kind = ofNoConcern
		return nil
	}
	name := a.name(n.Table)
	if n.IfNotExists && a.definition(name) != nil {
		return nil
	}
	if n.ReferTable != nil {
		like := a.definition(a.name(n.ReferTable))
		if like == nil {
			a.st.kind, a.st.tables = unreadable, []cdc.Table{name}
			return nil
		}
		a.set("CREATE", name, like.clone())
		return nil
	}
	if n.Select != nil { // the log has the columns written out, unless it is an old server's
		a.st.kind, a.st.tables = unreadable, []cdc.Table{name}
		return nil
	}
	d := &definition{Charset: a.defs.charset(name.Schema)}
	d.options(n.Options)
	for _, c := range n.Cols {
		col, err := d.column(c)
		if err != nil {
			return err
		}
		d.Columns = append(d.Columns, col)
		d.columnKeys(c)
	}
	for _, c := range n.Constraints {
		d.constraint(c)
	}
	d.sortKeys()
	a.set("CREATE", name, d)
	return nil
}

func (a *applier) rename(from, to cdc.Table) {
	d := a.definition(from)
	a.made[from] = nil
	a.st.renamed = append(a.st.renamed, from)
	a.set("ALTER", to, d)
	if d == nil {
		a.st.tables = append(a.st.tables, to)
	}
}

func (a *applier) createIndex(n *ast.CreateIndexStmt) {
	name := a.name(n.Table)
	old := a.definition(name)
	if n.KeyType != ast.IndexKeyTypeUnique || old == nil {
		return
	}
	d := old.clone()
	d.unique(n.IndexName, n.IndexPartSpecifications)
	d.sortKeys()
	a.st.indexed = append(a.st.indexed, tableChange{name: name, def: d})
}

// options takes what a table's options say of its columns.
func (d *definition) options(list []*ast.TableOption) {
	for _, o := range list {
		switch o.Tp {
		case ast.TableOptionCharset:
			d.Charset = charsetName(o.StrValue)
		case ast.TableOptionCollate:
			d.Charset = charsetOf(o.StrValue)
		case ast.TableOptionComment:
			d.Comment = o.StrValue
		}
	}
}

// databaseCharset returns the character set that the options of a database give, "" for none.
func databaseCharset(list []*ast.DatabaseOption) (charset string) {
	for _, o := range list {
		switch o.Tp {
		case ast.DatabaseOptionCharset:
			charset = charsetName(o.Value)
		case ast.DatabaseOptionCollate:
			charset = charsetOf(o.Value)
		}
	}
	return charset
}

// charsetOf returns the character set of a collation.
func charsetOf(collation string) string {
	charset, _, _ := strings.Cut(collation, "_")
	return charsetName(charset)
}

func charsetName(s string) string {
	if s = strings.ToLower(s); s == "utf8" {
		return "utf8mb3"
	}
	return s
}

// column reads a column's definition.
func (d *definition) column(n *ast.ColumnDef) (column, error) {
	c := column{Name: n.Name.Name.O}
	if err := c.setType(n.Tp.InfoSchemaStr()); err != nil {
		return c, err
	}
	switch c.Type {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "year":
		c.Length = n.Tp.GetFlen() // and not a width that nobody has given
	}
	if c.Type == "enum" || c.Type == "set" {
		c.Labels = n.Tp.GetElems()
	}
	c.Zerofill = mysql.HasZerofillFlag(n.Tp.GetFlag())
	c.named(n.Text())
	if c.isText() {
		if c.Charset = charsetName(n.Tp.GetCharset()); c.Charset == "" {
			c.Charset = d.Charset
		}
		switch n.Text() {
		case "NATIONAL", "NCHAR", "NVARCHAR":
			c.Charset = "utf8mb3"
		}
	}
	for _, o := range n.Options {
		switch o.Tp {
		case ast.ColumnOptionNotNull, ast.ColumnOptionPrimaryKey:
			c.NotNull = true
		case ast.ColumnOptionAutoIncrement:
			c.Increment, c.NotNull = true, true
		case ast.ColumnOptionComment:
			c.Comment = constantOf(o.Expr)
		case ast.ColumnOptionGenerated:
			c.Generated = true
		case ast.ColumnOptionCollate:
			if c.isText() {
				c.Charset = charsetOf(o.StrValue)
			}
		case ast.ColumnOptionDefaultValue:
			c.Default = defaultOf(o.Expr)
			if c.Default != nil && c.Type == "bit" {
				*c.Default = bitDigits(*c.Default)
			}
		}
	}
	return c, nil
}

// named keeps the name of the column's type in a statement, if that is not the server's.
func (c *column) named(word string) {
	first, _, _ := strings.Cut(strings.ToLower(word), " ")
	if flag := first == "boolean" || first == "bool"; flag || synonym(first) == c.Type && word != strings.ToUpper(c.Type) {
		c.Word = word
		if flag {
			c.Length = -1
		}
	}
}

// restored prints an expression as SQL.
func restored(e ast.ExprNode) string {
	var b strings.Builder
	flags := format.RestoreStringSingleQuotes | format.RestoreKeyWordUppercase | format.RestoreStringWithoutCharset
	if e.Restore(format.NewRestoreCtx(flags, &b)) != nil {
		return ""
	}
	return b.String()
}

// constantOf returns the text of a constant.
func constantOf(e ast.ExprNode) string {
	s := restored(e)
	if rest, ok := strings.CutPrefix(s, "'"); ok {
		if text, after, ok := unquote(rest); ok && after == "" {
			return text
		}
	}
	return s
}

// defaultOf returns a default that is a constant, else nil.
func defaultOf(e ast.ExprNode) *string {
	s := constantOf(e)
	switch e.(type) {
	case ast.ValueExpr, *ast.UnaryOperationExpr:
		switch text := e.Text(); {
		case s == "NULL", strings.HasPrefix(s, "x'"), text == "(":
			return nil
		case strings.EqualFold(text, s): // TRUE, as it was written
			s = text
		}
	case *ast.FuncCallExpr:
		if !strings.HasPrefix(s, "CURRENT_TIMESTAMP") && !strings.HasPrefix(s, "NOW") && !strings.HasPrefix(s, "LOCALTIME") {
			return nil
		}
		s = now
	default:
		return nil
	}
	return &s
}
