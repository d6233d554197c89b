package roundtrip

import "slices"

// reason is why values of some types do not arrive as they are.
type reason struct {
	sources []string // none: all
	columns []string
	targets []string // none: all
	text    string
}

func (r reason) matches(source, column, target string) bool {
	return (len(r.sources) == 0 || slices.Contains(r.sources, source)) && slices.Contains(r.columns, column) && (len(r.targets) == 0 || slices.Contains(r.targets, target))
}

// reasons are all that are accepted. One that is not needed, or not any more, fails the test.
func reasons() []reason {
	postgres, mysql := []string{"PostgreSQL"}, []string{"MySQL", "MariaDB"}
	return []reason{
		{postgres, []string{"real", "double precision"}, mysql, "there is no NaN and no infinity"},
		{postgres, []string{"numeric(12,2)", "numeric"}, nil, "precise decimals have no NaN; decimal.handling.mode=string has"},
		{postgres, []string{"varbit(20)", "varbit"}, nil, "io.debezium.data.Bits carries bytes, not how many bits there are: they are filled up with zeros to the column's length, or to whole bytes"},
		{postgres, []string{"date", "timestamp", "timestamptz"}, []string{"MySQL", "MariaDB", "SQLite"}, "calendars go from the year 0 to 9999, and have no infinity"},
		{postgres, []string{"integer[]"}, nil, "the schema of an array has one dimension"},
		{mysql, []string{"time", "time(6)"}, postgres, "a time is a time of day, not a span"},
		{mysql, []string{"date"}, nil, "0000-00-00 is no date: a column that may be null has null, as Debezium writes it"},
	}
}
