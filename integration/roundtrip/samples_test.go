package roundtrip

// form says how two texts of a value are compared: databases print the same value in many ways.
type form uint8

const (
	asText form = iota
	asNumber
	asFloat32
	asFloat64
	asBoolean
	asHex
	asBits
	asTemporal
	asInterval // in ISO 8601
	asJSON
)

// sample is a column type of a source with values of it, as SQL: a typical one, then extremes.
type sample struct {
	column string
	form   form
	values []string
	print  string // how the source prints the column %s, if not as every column of its type
}

func postgresSamples() []sample {
	return []sample{
		{"smallint", asNumber, []string{"7", "-32768", "32767"}, ""},
		{"integer", asNumber, []string{"7", "-2147483648", "2147483647"}, ""},
		{"bigint", asNumber, []string{"7", "-9223372036854775808", "9223372036854775807"}, ""},
		{"oid", asNumber, []string{"7", "4294967295"}, ""},
		{"boolean", asBoolean, []string{"true", "false"}, ""},
		{"real", asFloat32, []string{"1.1", "3.4028235e38", "1e-45", "'NaN'", "'-Infinity'"}, ""},
		{"double precision", asFloat64, []string{"0.1", "1.7976931348623157e308", "5e-324", "'NaN'", "'Infinity'"}, ""},
		{"numeric(12,2)", asNumber, []string{"19.99", "-9999999999.99", "'NaN'"}, ""},
		{"numeric(60,40)", asNumber, []string{"-0.0000000000000000000000000000000000000001", "99999999999999999999.9999999999999999999999999999999999999999"}, ""},
		{"numeric(5,0)", asNumber, []string{"12300", "-99999"}, ""},
		{"numeric", asNumber, []string{"1.2300", "123456789012345678901234567890123456789012345678901234567890123456789.5", "'NaN'"}, ""},
		{"money", asNumber, []string{"'12.34'", "'-92233720368547758.08'"}, "%s::numeric"},
		{"char(5)", asText, []string{"'ab'", "'ab€😀 '"}, "concat(%s)"}, // a cast to text cuts the blanks off
		{"varchar(20)", asText, []string{"'it''s'", "''", "'blank '"}, ""},
		{"text", asText, []string{"'it''s'", `E'\\ "x"\t\n 😀'`, "repeat('ü', 70000)"}, ""},
		{"name", asText, []string{"'orders'"}, ""},
		{"citext", asText, []string{"'Ab'"}, ""},
		{"mood", asText, []string{"'sad'", "'very happy'"}, ""},
		{"xml", asText, []string{`'<a b="1">x</a>'`}, ""},
		{"json", asJSON, []string{`'{"b" : 1, "a": [1.50, "ü", null]}'`, `'"x"'`}, ""},
		{"jsonb", asJSON, []string{`'{"b" : 1, "a": [1.50, "ü", null]}'`, `'12345678901234567890'`}, ""},
		{"hstore", asJSON, []string{`'a=>1, b=>NULL, "c d"=>"x\"y"'`, "''"}, "hstore_to_json(%s)"},
		{"uuid", asText, []string{"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"}, ""},
		{"bytea", asHex, []string{`'\x00ff27'`, `''`}, ""},
		{"bit(1)", asBits, []string{"B'1'", "B'0'"}, ""},
		{"bit(10)", asBits, []string{"B'1000000101'", "B'0000000001'"}, ""},
		{"varbit(20)", asBits, []string{"B'1010'", "B'0001'", "B''"}, ""},
		{"varbit", asBits, []string{"B'1'", "repeat('1', 70)::varbit"}, ""},
		{"date", asTemporal, []string{"'2024-02-29'", "'4713-01-01 BC'", "'21016-11-04'", "'infinity'"}, ""},
		{"time", asTemporal, []string{"'12:34:56.789012'", "'00:00'", "'24:00'"}, ""},
		{"time(3)", asTemporal, []string{"'12:34:56.789'"}, ""},
		{"timetz", asTemporal, []string{"'12:34:56.789012+02'"}, "%s AT TIME ZONE 'UTC'"},
		{"timestamp", asTemporal, []string{"'2024-02-29 12:34:56.789012'", "'0044-03-15 00:00:00 BC'", "'12345-01-01 00:00:00'", "'-infinity'"}, ""},
		{"timestamp(3)", asTemporal, []string{"'1969-12-31 23:59:59.999'"}, ""},
		{"timestamptz", asTemporal, []string{"'2024-02-29 12:34:56.789012+02'", "'0044-03-15 00:00:00+00 BC'", "'infinity'"}, ""},
		{"interval", asInterval, []string{"'1 year 2 months 3 days 4 hours 5 minutes 6.78 seconds'", "'-1 year -2 days +3 hours'"}, ""},
		{"point", asText, []string{"'(1,-2.5)'"}, ""},
		{"inet", asText, []string{"'10.0.0.1/8'", "'2001:db8::1'"}, "abbrev(%s)"},
		{"cidr", asText, []string{"'10.0.0.0/8'"}, ""},
		{"macaddr", asText, []string{"'08:00:2b:01:02:03'"}, ""},
		{"macaddr8", asText, []string{"'08:00:2b:01:02:03:04:05'"}, ""},
		{"int4range", asText, []string{"'[1,5)'", "'empty'"}, ""},
		{"int8range", asText, []string{"'(1,)'"}, ""},
		{"numrange", asText, []string{"'(1.5,]'"}, ""},
		{"tsrange", asText, []string{"'[2024-01-01 00:00,2024-01-02 00:00)'"}, ""},
		{"tstzrange", asText, []string{"'[2024-01-01 00:00+00,)'"}, ""},
		{"daterange", asText, []string{"'[2024-01-01,2024-02-01)'"}, ""},
		{"tsvector", asText, []string{"'cat:2A fat:1'"}, ""},
		{"ltree", asText, []string{"'Top.Science'"}, ""},
		{"isbn", asText, []string{"'978-0-393-04002-9'"}, ""},
		{"positive", asNumber, []string{"5"}, ""},
		{"price", asNumber, []string{"12.345"}, ""},
		{"smallint[]", asJSON, []string{"'{1,NULL,-3}'"}, ""},
		{"integer[]", asJSON, []string{"'{1,NULL,-3}'", "'{}'", "'{{1,2},{3,4}}'"}, ""},
		{"bigint[]", asJSON, []string{"'{9223372036854775807}'"}, ""},
		{"real[]", asJSON, []string{"'{1.5,NaN}'"}, ""},
		{"double precision[]", asJSON, []string{"'{0.1}'"}, ""},
		{"boolean[]", asJSON, []string{"'{t,f,NULL}'"}, ""},
		{"text[]", asJSON, []string{`ARRAY['a','b,c','"q"','\','NULL',NULL,'']`}, ""},
		{"varchar(5)[]", asJSON, []string{"'{ab,cd}'"}, ""},
		{"numeric(6,2)[]", asJSON, []string{"'{1.50,-2.25}'"}, ""},
		{"date[]", asJSON, []string{"'{2024-01-01,1969-12-31}'"}, ""},
		{"time[]", asJSON, []string{"'{12:34:56.789012}'"}, ""},
		{"timestamp[]", asJSON, []string{`'{"2024-01-01 00:00:00.5"}'`}, ""},
		{"timestamptz[]", asJSON, []string{`'{"2024-01-01 00:00:00.5+02"}'`}, ""},
		{"bytea[]", asJSON, []string{`ARRAY['\x00ff'::bytea, '']`}, ""},
		{"uuid[]", asJSON, []string{"'{6f1c2c8e-3b1d-4a57-9a54-6f1f0f2b7d10}'"}, ""},
		{"jsonb[]", asJSON, []string{`ARRAY['{"a": [1,2]}']::jsonb[]`}, ""},
		{"mood[]", asJSON, []string{`'{sad,"very happy"}'`}, ""},
		{"inet[]", asJSON, []string{"'{10.0.0.1}'"}, ""},
	}
}

const postgresSetUp = `CREATE EXTENSION hstore; CREATE EXTENSION citext; CREATE EXTENSION ltree; CREATE EXTENSION isn;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'very happy'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN price AS numeric(8,3);`

// mysqlSamples are of what MySQL and MariaDB share; own are those that only one has.
func mysqlSamples(own ...sample) []sample {
	return append([]sample{
		{"tinyint", asNumber, []string{"7", "-128", "127"}, ""},
		{"tinyint unsigned", asNumber, []string{"7", "255"}, ""},
		{"tinyint(1)", asNumber, []string{"1", "-128"}, ""},
		{"smallint", asNumber, []string{"7", "-32768"}, ""},
		{"smallint unsigned", asNumber, []string{"65535"}, ""},
		{"mediumint", asNumber, []string{"7", "-8388608"}, ""},
		{"mediumint unsigned", asNumber, []string{"16777215"}, ""},
		{"int", asNumber, []string{"7", "-2147483648"}, ""},
		{"int unsigned", asNumber, []string{"4294967295"}, ""},
		{"bigint", asNumber, []string{"7", "-9223372036854775808"}, ""},
		{"bigint unsigned", asNumber, []string{"7", "18446744073709551615"}, ""},
		{"float", asFloat32, []string{"0.1", "-3.40282e38"}, ""},
		{"double", asFloat64, []string{"0.1", "1.7976931348623157e308"}, ""},
		{"decimal(12,2)", asNumber, []string{"19.99", "-9999999999.99"}, ""},
		{"decimal(10,0)", asNumber, []string{"1234567890"}, ""},
		{"decimal(65,30)", asNumber, []string{"12345678901234567890123456789012345.123456789012345678901234567890"}, ""},
		{"bit(1)", asBits, []string{"b'1'", "b'0'"}, ""},
		{"bit(10)", asBits, []string{"b'1000000101'", "b'1'"}, ""},
		{"bit(64)", asBits, []string{"b'1000000000000000000000000000000000000000000000000000000000000001'"}, ""},
		{"year", asNumber, []string{"2024", "1901", "2155"}, ""},
		{"date", asTemporal, []string{"'2024-02-29'", "'1000-01-01'", "'9999-12-31'", "'0000-00-00'"}, ""},
		{"time", asTemporal, []string{"'12:34:56'", "'-838:59:59'", "'838:59:59'"}, ""},
		{"time(6)", asTemporal, []string{"'12:34:56.789012'", "'-00:00:00.000001'"}, ""},
		{"datetime", asTemporal, []string{"'2024-02-29 12:34:56'", "'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"}, ""},
		{"datetime(3)", asTemporal, []string{"'1969-12-31 23:59:59.999'"}, ""},
		{"datetime(6)", asTemporal, []string{"'2024-02-29 12:34:56.789012'"}, ""},
		{"timestamp", asTemporal, []string{"'2024-02-29 12:34:56'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"}, ""},
		{"timestamp(6)", asTemporal, []string{"'2024-02-29 12:34:56.789012'"}, ""},
		{"char(10)", asText, []string{"'ab'", "'it''s 😀'"}, ""},
		{"varchar(30)", asText, []string{"'ab '", "''"}, ""},
		{"varchar(31) CHARACTER SET latin1", asText, []string{"'Zoë €'"}, ""},
		{"tinytext", asText, []string{"'ab'"}, ""},
		{"text", asText, []string{`'it''s \\ "x" 😀'`}, ""},
		{"mediumtext", asText, []string{"repeat('ü', 70000)"}, ""},
		{"longtext", asText, []string{"'ab'"}, ""},
		{"enum('a','b c')", asText, []string{"'b c'"}, ""},
		{"set('a','b','c')", asText, []string{"'a,c'", "''"}, ""},
		{"binary(4)", asHex, []string{"x'00ff1000'"}, ""},
		{"varbinary(20)", asHex, []string{"x'00ff27'", "''"}, ""},
		{"blob", asHex, []string{"x'00ff27'"}, ""},
		{"longblob", asHex, []string{"x'00'"}, ""},
		{"json", asJSON, []string{`'{"b": 1, "a": [1.5, "ü", null]}'`, `'12345678901234567890'`}, ""},
		{"geometry", asHex, []string{"ST_GeomFromText('POINT(1.5 -2)')", "ST_GeomFromText('LINESTRING(0 0, 1 1)')"}, "hex(ST_AsBinary(%s))"},
		{"point", asText, []string{"ST_GeomFromText('POINT(1.5 -2)')"}, "concat('(', ST_X(%s), ',', ST_Y(%s), ')')"},
		{"polygon", asHex, []string{"ST_GeomFromText('POLYGON((0 0, 0 1, 1 1, 0 0))')"}, "hex(ST_AsBinary(%s))"},
	}, own...)
}
