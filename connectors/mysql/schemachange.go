package mysql

import (
	"cmp"
	"strings"

	"github.com/sluicehub/sluice/connectors"
	"github.com/sluicehub/sluice/connectors/cdc"
)

// schemaChanges writes the records that tell of statements which change tables.
type schemaChanges struct {
	topic                     string
	comments                  bool
	key, value, column, table *connectors.Schema
}

// tableChange says what became of a table; def is nil for a table that was dropped.
type tableChange struct {
	kind string // CREATE, ALTER, DROP
	name cdc.Table
	def  *definition
}

func newSchemaChanges(s *settings, source *connectors.Schema) *schemaChanges {
	text, flag := connectors.OptionalStringSchema, connectors.OptionalBooleanSchema
	texts := &connectors.Schema{Type: connectors.Array, Optional: true, Elem: connectors.StringSchema}
	column := &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.schema.Column", Version: 1, Fields: []connectors.Field{
		{Name: "name", Schema: connectors.StringSchema}, {Name: "jdbcType", Schema: connectors.Int32Schema},
		{Name: "nativeType", Schema: connectors.OptionalInt32Schema}, {Name: "typeName", Schema: connectors.StringSchema},
		{Name: "typeExpression", Schema: text}, {Name: "charsetName", Schema: text}, {Name: "length", Schema: connectors.OptionalInt32Schema},
		{Name: "scale", Schema: connectors.OptionalInt32Schema}, {Name: "position", Schema: connectors.Int32Schema}, {Name: "optional", Schema: flag},
		{Name: "autoIncremented", Schema: flag}, {Name: "generated", Schema: flag}, {Name: "comment", Schema: text},
		{Name: "defaultValueExpression", Schema: text}, {Name: "enumValues", Schema: texts}}}
	table := &connectors.Schema{Type: connectors.Struct, Optional: true, Name: "io.debezium.connector.schema.Table", Version: 1, Fields: []connectors.Field{
		{Name: "defaultCharsetName", Schema: text}, {Name: "primaryKeyColumnNames", Schema: texts},
		{Name: "columns", Schema: &connectors.Schema{Type: connectors.Array, Elem: column}}, {Name: "comment", Schema: text}}}
	change := &connectors.Schema{Type: connectors.Struct, Name: "io.debezium.connector.schema.Change", Version: 1, Fields: []connectors.Field{
		{Name: "type", Schema: connectors.StringSchema}, {Name: "id", Schema: connectors.StringSchema}, {Name: "table", Schema: table}}}
	return &schemaChanges{topic: s.prefix, comments: s.values.comments, column: column, table: table,
		key: &connectors.Schema{Type: connectors.Struct, Name: s.flavor.schema("SchemaChangeKey"), Version: 1,
			Fields: []connectors.Field{{Name: "databaseName", Schema: connectors.StringSchema}}},
		value: &connectors.Schema{Type: connectors.Struct, Name: s.flavor.schema("SchemaChangeValue"), Version: 1, Fields: []connectors.Field{
			{Name: "source", Schema: source}, {Name: "ts_ms", Schema: connectors.Int64Schema}, {Name: "databaseName", Schema: text},
			{Name: "schemaName", Schema: text}, {Name: "ddl", Schema: text},
			{Name: "tableChanges", Schema: &connectors.Schema{Type: connectors.Array, Elem: change}}}},
	}
}

// schemaChange appends the record of a statement. place is the encoded field table of the source block.
func (e *emitter) schemaChange(b *connectors.Batch, sc *schemaChanges, place []byte, db, ddl string, changes []tableChange) {
	start := len(b.Buf)
	b.Buf = connectors.AppendString(b.Buf, db)
	split := len(b.Buf)
	buf := e.appendSource(b.Buf, place, 0)
	buf = connectors.AppendInt(buf, e.now().UnixMilli())
	buf = cdc.AppendOptionalString(buf, db)
	buf = cdc.AppendOptionalNull(buf)
	buf = cdc.AppendOptionalString(buf, strings.ToValidUTF8(ddl, "\uFFFD"))
	if len(changes) > 0 {
		buf = connectors.AppendInt(buf, int64(len(changes)))
	}
	for _, c := range changes {
		buf = connectors.AppendString(buf, c.kind)
		buf = connectors.AppendString(buf, `"`+c.name.Schema+`"."`+c.name.Name+`"`)
		if c.def == nil {
			buf = append(buf, 0)
		} else {
			buf = appendTable(append(buf, 2), c.def, sc.comments)
		}
	}
	b.Buf = append(buf, 0)
	b.Records = append(b.Records, connectors.Record{Topic: sc.topic, Partition: 0, Timestamp: connectors.NoTimestamp, Headers: e.context,
		Key:   connectors.Data{Schema: sc.key, Bytes: b.Buf[start:split:split]},
		Value: connectors.Data{Schema: sc.value, Bytes: b.Buf[split:len(b.Buf):len(b.Buf)]}})
}

func appendTexts(dst []byte, list []string) []byte {
	if len(list) > 0 {
		dst = connectors.AppendInt(dst, int64(len(list)))
	}
	for _, s := range list {
		dst = connectors.AppendString(dst, s)
	}
	return append(dst, 0)
}

func appendTable(dst []byte, d *definition, comments bool) []byte {
	dst = cdc.AppendOptionalString(dst, d.Charset)
	dst = appendTexts(append(dst, 2), d.naturalKey())
	if len(d.Columns) > 0 {
		dst = connectors.AppendInt(dst, int64(len(d.Columns)))
	}
	for i := range d.Columns {
		dst = appendColumn(dst, &d.Columns[i], i+1, comments)
	}
	dst = append(dst, 0)
	if !comments {
		return cdc.AppendOptionalNull(dst)
	}
	return appendOptionalText(dst, d.Comment)
}

func appendColumn(dst []byte, c *column, position int, comments bool) []byte {
	name := typeName(c)
	flag := func(b bool) { dst = connectors.AppendBool(append(dst, 2), b) }
	number := func(n int) {
		if n < 0 {
			dst = cdc.AppendOptionalNull(dst)
		} else {
			dst = cdc.AppendOptionalInt(dst, int64(n))
		}
	}
	length := c.Length
	switch c.Type {
	case "enum":
		length = 1
	case "set":
		length = max(2*len(c.Labels)-1, 0)
	}
	dst = connectors.AppendString(dst, c.Name)
	dst = connectors.AppendInt(dst, int64(jdbcType(c)))
	dst = cdc.AppendOptionalNull(dst)
	dst = connectors.AppendString(dst, name)
	dst = cdc.AppendOptionalString(dst, name)
	dst = appendOptionalText(dst, c.Charset)
	number(length)
	number(c.Scale)
	dst = connectors.AppendInt(dst, int64(position))
	flag(!c.NotNull)
	flag(c.Increment)
	flag(c.Increment) // of Debezium's "generated", too
	if c.Comment == "" || !comments {
		dst = cdc.AppendOptionalNull(dst)
	} else {
		dst = cdc.AppendOptionalString(dst, c.Comment)
	}
	if c.Default == nil {
		dst = cdc.AppendOptionalNull(dst)
	} else {
		dst = cdc.AppendOptionalString(dst, *c.Default)
	}
	if c.Labels == nil {
		return cdc.AppendOptionalNull(dst)
	}
	var quoted []string
	for _, l := range c.Labels {
		quoted = append(quoted, "'"+strings.ReplaceAll(l, "'", "''")+"'")
	}
	return appendTexts(append(dst, 2), quoted)
}

// typeName returns the name that Debezium gives a column's type.
func typeName(c *column) string {
	name := cmp.Or(c.Word, strings.ToUpper(c.Type))
	if c.Type == "geometrycollection" {
		name = "GEOMCOLLECTION" // as SHOW CREATE TABLE has it
	}
	if c.Unsigned {
		name += " UNSIGNED"
	}
	if c.Zerofill {
		name += " ZEROFILL"
	}
	return name
}

// jdbcType returns the number of java.sql.Types that Debezium gives a column.
func jdbcType(c *column) int {
	switch {
	case c.isFlag():
		return 16
	case c.Word == "NUMERIC":
		return 2
	case c.Word == "REAL":
		return 7
	}
	switch c.Type {
	case "tinyint", "smallint":
		return 5
	case "mediumint", "int", "year":
		return 4
	case "bigint":
		return -5
	case "float":
		return 6
	case "double":
		return 8
	case "decimal":
		return 3
	case "bit":
		return -7
	case "date":
		return 91
	case "time":
		return 92
	case "datetime":
		return 93
	case "timestamp":
		return 2014
	case "char", "enum", "set":
		return 1
	case "varchar", "tinytext", "text", "mediumtext", "longtext":
		return 12
	case "binary":
		return -2
	case "varbinary":
		return -3
	case "tinyblob", "blob", "mediumblob", "longblob":
		return 2004
	}
	return 1111
}
