package mysql

import (
	"fmt"
	"strings"
)

// keyPart is a column by which rows are ordered and cut. Its value is selected in a form that can be written into a later
// statement and compares there exactly as the index is ordered.
//
//	type                        ordered by            its value             compared as
//	binary, varbinary, blob     bytes                 HEX(c)                c > x'…'
//	enum                        number of the label   CAST(c AS UNSIGNED)   CAST(c AS UNSIGNED) > 2      c > 2 is in floating point,
//	set                         bits of the labels    CAST(c AS UNSIGNED)   CAST(c AS UNSIGNED) > 5      c > 'z' by the text
//	bit                         bits                  CAST(c AS UNSIGNED)   c > 5
//	float, double               value                 c*1e0                 c > 0.1428571492433548       the text of a float is rounded
//	year, other numbers         value                 c                     c > 7
//	text, temporal, uuid, inet  as the type says      c                     c > '…'                      which takes on that type
//
// All are ordered by the column itself, which is what its index is good for. What is compared as CAST uses no index, so
// that what lies before is read and passed over.
type keyPart struct {
	column   *column
	value    string
	compared string
}

// keyPart is the column as a part of a key.
func (c *column) keyPart() keyPart {
	name := quote(c.Name)
	k := keyPart{c, name, name}
	switch c.Type {
	case "enum", "set":
		k.value = "CAST(" + name + " AS UNSIGNED)"
		k.compared = k.value
	case "bit":
		k.value = "CAST(" + name + " AS UNSIGNED)"
	case "float", "double":
		k.value = name + "*1e0"
	case "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "vector":
		k.value = "HEX(" + name + ")"
	}
	return k
}

// literal writes a value such that it is compared as the index is ordered.
func (k *keyPart) literal(value string) string {
	switch k.column.Type {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year", "enum", "set", "bit", "float", "double":
		if isNumber(value) {
			return value
		}
	}
	if strings.HasPrefix(k.value, "HEX(") {
		return "x" + quoteText(value)
	}
	return quoteText(value)
}

// keyOrder is the order of the rows by some columns.
type keyOrder []keyPart

// values are the expressions that a row's place is selected by.
func (o keyOrder) values() (list []string) {
	for _, k := range o {
		list = append(list, k.value)
	}
	return list
}

// by is what follows ORDER BY, with a suffix behind each column.
func (o keyOrder) by(suffix string) string {
	var list []string
	for _, k := range o {
		list = append(list, quote(k.column.Name)+suffix)
	}
	return strings.Join(list, ", ")
}

// compare compares the key with a bound. The server uses no index for a comparison of rows, so it is written out:
//
//	a >= 1 AND (a > 1 OR a = 1 AND (b > 2))
func (o keyOrder) compare(op string, bound []string, orEqual bool) string {
	out := ""
	for i := len(o) - 1; i >= 0; i-- {
		e, v := o[i].compared, o[i].literal(bound[i])
		switch {
		case out != "":
			out = fmt.Sprintf("%s %s= %s AND (%[1]s %[2]s %[3]s OR %[1]s = %[3]s AND (%s))", e, op, v, out)
		case orEqual:
			out = e + " " + op + "= " + v
		default:
			out = e + " " + op + " " + v
		}
	}
	return "(" + out + ")"
}
