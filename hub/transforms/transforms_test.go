package transforms

import (
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
	"github.com/sluicehub/sluice/connectors"
)

func mustChain(t testing.TB, config map[string]string) *Chain {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// one is the configuration of a single transform: a class and its keys and values in turn.
func one(class string, pairs ...string) map[string]string {
	c := map[string]string{"transforms": "t", "transforms.t.type": class}
	for i := 0; i < len(pairs); i += 2 {
		c["transforms.t."+pairs[i]] = pairs[i+1]
	}
	return c
}

// envelope reads {"schema":…,"payload":…} or, for other text, schemaless data; "" is null.
func envelope(t testing.TB, text string) connectors.Data {
	t.Helper()
	if text == "" {
		return connectors.Data{}
	}
	class := map[string]string{"schemas.enable": "false"}
	if strings.HasPrefix(text, `{"schema":`) {
		class = map[string]string{"replace.null.with.default": "false"}
	}
	d, _, err := newConverter(t, "json", class).ToConnect(nil, "t", []byte(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return d
}

func printed(t testing.TB, d connectors.Data) string {
	t.Helper()
	config := map[string]string{"schemas.enable": "true", "replace.null.with.default": "false"}
	if d.Schema == nil {
		config["schemas.enable"] = "false"
	}
	b, err := newConverter(t, "json", config).FromConnect(nil, "t", d)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// schema wraps fields into the JSON of a struct schema, and payload into an envelope around it.
func schema(fields string) string {
	return `{"schema":{"type":"struct","fields":[` + fields + `],"optional":false},"payload":`
}

const (
	aField   = `{"type":"int32","optional":false,"field":"a"}`
	bField   = `{"type":"string","optional":true,"default":"d","field":"b"}`
	nested   = `{"type":"struct","fields":[{"type":"int32","optional":false,"field":"x"},{"type":"array","items":{"type":"string","optional":false},"optional":true,"field":"l"}],"optional":true,"field":"n"}`
	pricey   = `{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,"parameters":{"scale":"2"},"field":"p"}`
	dateTime = `{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"ts"}`
)

func TestTransforms(t *testing.T) {
	const kafka = "org.apache.kafka.connect.transforms."
	ab := schema(aField + "," + bField)
	for name, c := range map[string]struct {
		config   map[string]string
		in, want string
	}{
		"insert static":            {one(kafka+"InsertField$Value", "static.field", "s", "static.value", "x"), ab + `{"a":1,"b":null}}`, schema(aField+","+bField+`,{"type":"string","optional":true,"field":"s"}`) + `{"a":1,"b":"d","s":"x"}}`},
		"insert static keep null":  {one(kafka+"InsertField$Value", "static.field", "s!", "static.value", "x", "replace.null.with.default", "false"), ab + `{"a":1,"b":null}}`, schema(aField+","+bField+`,{"type":"string","optional":false,"field":"s"}`) + `{"a":1,"b":null,"s":"x"}}`},
		"insert facts":             {one(kafka+"InsertField$Value", "topic.field", "t", "partition.field", "p", "offset.field", "o", "timestamp.field", "ts"), schema(aField) + `{"a":1}}`, schema(aField+`,{"type":"string","optional":true,"field":"t"},{"type":"int32","optional":true,"field":"p"},{"type":"int64","optional":true,"field":"o"},`+dateTime) + `{"a":1,"t":"shop.orders","p":3,"o":42,"ts":1700000000123}}`},
		"insert schemaless":        {one("InsertField$Value", "topic.field", "t", "timestamp.field", "ts"), `{"a":1}`, `{"a":1,"t":"shop.orders","ts":1700000000123}`},
		"insert into tombstone":    {one("InsertField$Value", "topic.field", "t"), ``, ``},
		"replace exclude":          {one(kafka+"ReplaceField$Value", "exclude", "a", "renames", "b:c"), ab + `{"a":1,"b":"x"}}`, schema(`{"type":"string","optional":true,"default":"d","field":"c"}`) + `{"c":"x"}}`},
		"replace include":          {one(kafka+"ReplaceField$Value", "whitelist", "a"), `{"b":2,"a":{"x":[1]}}`, `{"a":{"x":[1]}}`},
		"mask":                     {one(kafka+"MaskField$Value", "fields", "a,b,p"), schema(aField+","+bField+","+pricey) + `{"a":7,"b":"x","p":"B88="}}`, schema(aField+","+bField+","+pricey) + `{"a":0,"b":"","p":"AA=="}}`},
		"mask null":                {one(kafka+"MaskField$Value", "fields", "p", "replacement", "9.99"), schema(pricey) + `{"p":null}}`, schema(pricey) + `{"p":null}}`},
		"mask replacement":         {one(kafka+"MaskField$Value", "fields", "a,p", "replacement", "9"), schema(aField+","+pricey) + `{"a":7,"p":"B88="}}`, schema(aField+","+pricey) + `{"a":9,"p":"A4Q="}}`},
		"mask schemaless":          {one(kafka+"MaskField$Value", "fields", "a,b,c,d,e"), `{"a":7,"b":"x","c":[1],"d":true,"e":null,"f":1.5}`, `{"a":0,"b":"","c":[],"d":false,"e":null,"f":1.5}`},
		"hoist":                    {one(kafka+"HoistField$Value", "field", "f"), `{"schema":{"type":"int32","optional":true},"payload":5}`, schema(`{"type":"int32","optional":true,"field":"f"}`) + `{"f":5}}`},
		"hoist tombstone":          {one(kafka+"HoistField$Value", "field", "f"), ``, `{"f":null}`},
		"extract":                  {one(kafka+"ExtractField$Value", "field", "b"), ab + `{"a":1,"b":null}}`, `{"schema":{"type":"string","optional":true,"default":"d"},"payload":"d"}`},
		"extract nested":           {one(kafka+"ExtractField$Value", "field", "n.x", "field.syntax.version", "V2"), schema(nested) + `{"n":{"x":4,"l":null}}}`, `{"schema":{"type":"int32","optional":false},"payload":4}`},
		"extract nested absent":    {one(kafka+"ExtractField$Value", "field", "n.x", "field.syntax.version", "V2"), schema(nested) + `{"n":null}}`, ``},
		"extract schemaless":       {one(kafka+"ExtractField$Value", "field", "`a.b`.c", "field.syntax.version", "V2"), `{"a.b":{"c":"x"}}`, `"x"`},
		"extract missing":          {one(kafka+"ExtractField$Value", "field", "zz"), `{"a":1}`, ``},
		"schema metadata":          {one(kafka+"SetSchemaMetadata$Value", "schema.name", "N", "schema.version", "3"), schema(aField) + `{"a":1}}`, `{"schema":{"type":"struct","fields":[` + aField + `],"optional":false,"name":"N","version":3},"payload":{"a":1}}`},
		"flatten":                  {one(kafka+"Flatten$Value", "delimiter", "_"), schema(aField+","+nested) + `{"a":1,"n":{"x":2,"l":["q"]}}}`, schema(aField+`,{"type":"int32","optional":true,"field":"n_x"},{"type":"array","items":{"type":"string","optional":false},"optional":true,"field":"n_l"}`) + `{"a":1,"n_x":2,"n_l":["q"]}}`},
		"flatten null struct":      {one(kafka+"Flatten$Value", "delimiter", "_"), schema(nested+","+aField) + `{"n":null,"a":1}}`, schema(`{"type":"int32","optional":true,"field":"n_x"},{"type":"array","items":{"type":"string","optional":false},"optional":true,"field":"n_l"},`+aField) + `{"n_x":null,"n_l":null,"a":1}}`},
		"flatten schemaless":       {one(kafka + "Flatten$Value"), `{"a":{"b":{"c":1},"d":null},"e":[{"f":1}]}`, `{"a.b.c":1,"a.d":null,"e":[{"f":1}]}`},
		"cast fields":              {one(kafka+"Cast$Value", "spec", "a:string,b:boolean"), schema(aField+`,{"type":"string","optional":true,"default":"true","field":"b"}`) + `{"a":-7,"b":null}}`, schema(`{"type":"string","optional":false,"field":"a"},{"type":"boolean","optional":true,"default":true,"field":"b"}`) + `{"a":"-7","b":true}}`},
		"cast wraps":               {one(kafka+"Cast$Value", "spec", "a:int8"), schema(aField) + `{"a":300}}`, schema(`{"type":"int8","optional":false,"field":"a"}`) + `{"a":44}}`},
		"cast decimal":             {one(kafka+"Cast$Value", "spec", "p:float64"), schema(pricey) + `{"p":"B88="}}`, schema(`{"type":"double","optional":true,"field":"p"}`) + `{"p":19.99}}`},
		"cast date to text":        {one(kafka+"Cast$Value", "spec", "ts:string"), schema(dateTime) + `{"ts":1709280000123}}`, schema(`{"type":"string","optional":true,"field":"ts"}`) + `{"ts":"2024-03-01T08:00:00.123Z"}}`},
		"cast whole":               {one(kafka+"Cast$Value", "spec", "int64"), `{"schema":{"type":"double","optional":true},"payload":-2.9}`, `{"schema":{"type":"int64","optional":true},"payload":-2}`},
		"cast schemaless":          {one(kafka+"Cast$Value", "spec", "a:string,b:float64,c:int32,d:boolean"), `{"a":1.5,"b":"2","c":3.9,"d":0}`, `{"a":"1.5","b":2.0,"c":3,"d":false}`},
		"time to text":             {one(kafka+"TimestampConverter$Value", "field", "ts", "target.type", "string", "format", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX"), schema(dateTime) + `{"ts":1709280000123}}`, schema(`{"type":"string","optional":true,"field":"ts"}`) + `{"ts":"2024-03-01T08:00:00.123Z"}}`},
		"text to time":             {one(kafka+"TimestampConverter$Value", "field", "b", "target.type", "Timestamp", "format", "dd/MMM/yyyy hh:mm a z"), schema(`{"type":"string","optional":true,"field":"b"}`) + `{"b":"01/Mar/2024 08:00 PM GMT+01:00"}}`, schema(`{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"b"}`) + `{"b":1709319600000}}`},
		"time to date":             {one(kafka+"TimestampConverter$Value", "field", "ts", "target.type", "Date"), schema(dateTime) + `{"ts":-1}}`, schema(`{"type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1,"field":"ts"}`) + `{"ts":-1}}`},
		"unix micros to time":      {one(kafka+"TimestampConverter$Value", "target.type", "Time", "unix.precision", "microseconds"), `{"schema":{"type":"int64","optional":false},"payload":86400001500}`, `{"schema":{"type":"int32","optional":false,"name":"org.apache.kafka.connect.data.Time","version":1},"payload":1}`},
		"time null":                {one(kafka+"TimestampConverter$Value", "field", "ts", "target.type", "unix"), schema(dateTime) + `{"ts":null}}`, schema(`{"type":"int64","optional":true,"field":"ts"}`) + `{"ts":null}}`},
		"time schemaless":          {one(kafka+"TimestampConverter$Value", "field", "t", "target.type", "unix", "format", "yyyyMMdd", "unix.precision", "seconds"), `{"t":"19700102"}`, `{"t":86400}`},
		"header move":              {one(kafka+"HeaderFrom$Value", "fields", "b", "headers", "h", "operation", "move"), ab + `{"a":1,"b":null}}`, schema(aField) + `{"a":1}} h={"schema":{"type":"string","optional":true,"default":"d"},"payload":"d"}`},
		"header copy schemaless":   {one(kafka+"HeaderFrom$Value", "fields", "b,zz", "headers", "h,i", "operation", "copy"), `{"b":[1]}`, `{"b":[1]} h=[1] i=`},
		"insert header":            {one(kafka+"InsertHeader", "header", "h", "value.literal", "300"), `1`, `1 h={"schema":{"type":"int16","optional":false},"payload":300}`},
		"value to key":             {one(kafka+"ValueToKey", "fields", "b,a"), ab + `{"a":1,"b":null}}`, ab + `{"a":1,"b":null}} key ` + schema(bField+","+aField) + `{"b":"d","a":1}}`},
		"value to key schemaless":  {one(kafka+"ValueToKey", "fields", "a,zz"), `{"a":1}`, `{"a":1} key {"a":1,"zz":null}`},
		"regex router":             {one(kafka+"RegexRouter", "regex", `(\w+)\.(.*)`, "replacement", `$2-$1\$`), `1`, `1 topic orders-shop$`},
		"regex router first match": {one(kafka+"RegexRouter", "regex", `shop|shop\.orders`, "replacement", `x`), `1`, `1 topic x.orders`},
		"regex router no match":    {one(kafka+"RegexRouter", "regex", `shop`, "replacement", `x`), `1`, `1`},
		"timestamp router":         {one(kafka+"TimestampRouter", "timestamp.format", "yyyy-MM-dd"), `1`, `1 topic shop.orders-2023-11-14`},
		"filter":                   {one(kafka + "Filter"), `1`, `dropped`},
		"unwrap leaves others":     {one("io.debezium.transforms.ExtractNewRecordState"), schema(aField) + `{"a":1}}`, schema(aField) + `{"a":1}}`},
		"unwrap drops tombstones":  {one("io.debezium.transforms.ExtractNewRecordState"), ``, `dropped`},
		"unwrap keeps tombstones":  {one("io.debezium.transforms.ExtractNewRecordState", "drop.tombstones", "false", "add.headers", "op"), ``, ` __op={"schema":{"type":"string","optional":false},"payload":"d"} __op={"schema":{"type":"string","optional":false},"payload":"d"}`},
	} {
		t.Run(name, func(t *testing.T) {
			in := envelope(t, c.in)
			before := printed(t, in)
			r := connectors.Record{Topic: "shop.orders", Partition: 3, Offset: 42, Timestamp: 1700000000123, Value: in}
			chain := mustChain(t, c.config)
			for range 2 { // the second time from the caches
				r.Topic, r.Key, r.Value, r.Headers = "shop.orders", connectors.Data{}, in, nil
				keep, err := chain.Apply(&r)
				if err != nil {
					t.Fatal(err)
				}
				if got := describe(t, r, keep); got != c.want {
					t.Fatalf("got  %s\nwant %s", got, c.want)
				}
			}
			if printed(t, in) != before {
				t.Error("the transform changed the bytes it was given")
			}
		})
	}
}

// describe prints what may have changed in a record.
func describe(t *testing.T, r connectors.Record, keep bool) string {
	t.Helper()
	if !keep {
		return "dropped"
	}
	got := printed(t, r.Value)
	for _, h := range r.Headers {
		got += " " + h.Key + "=" + printed(t, h.Value)
	}
	if !r.Key.IsNull() {
		got += " key " + printed(t, r.Key)
	}
	if r.Topic != "shop.orders" {
		got += " topic " + r.Topic
	}
	return got
}

func TestKeySide(t *testing.T) {
	chain := mustChain(t, one("org.apache.kafka.connect.transforms.ExtractField$Key", "field", "a"))
	r := connectors.Record{Key: envelope(t, schema(aField)+`{"a":1}}`), Value: envelope(t, `{"a":2}`)}
	if _, err := chain.Apply(&r); err != nil || printed(t, r.Key) != `{"schema":{"type":"int32","optional":false},"payload":1}` || printed(t, r.Value) != `{"a":2}` {
		t.Errorf("%v: %s, %s", err, printed(t, r.Key), printed(t, r.Value))
	}
}

func TestPredicatesAndHeaders(t *testing.T) {
	config := map[string]string{
		"transforms":        "a,b,c",
		"transforms.a.type": "org.apache.kafka.connect.transforms.DropHeaders", "transforms.a.headers": "x,y", "transforms.a.predicate": "hasX",
		"transforms.b.type": "Filter", "transforms.b.predicate": "tomb",
		"transforms.c.type": "RegexRouter", "transforms.c.regex": ".*", "transforms.c.replacement": "other", "transforms.c.predicate": "shop", "transforms.c.negate": "true",
		"predicates":           "hasX,tomb,shop",
		"predicates.hasX.type": "org.apache.kafka.connect.transforms.predicates.HasHeaderKey", "predicates.hasX.name": "x",
		"predicates.tomb.type": "RecordIsTombstone",
		"predicates.shop.type": "TopicNameMatches", "predicates.shop.pattern": `shop\.\w+`,
	}
	headers := []connectors.Header{{Key: "y"}, {Key: "x"}, {Key: "z"}, {Key: "x"}}
	for _, c := range []struct {
		topic, value string
		headers      []connectors.Header
		want         string
	}{
		{"shop.orders", "1", headers, "shop.orders z"},
		{"shop.orders.x", "1", headers[:1], "other y"},
		{"shop.orders", "", nil, "dropped"},
	} {
		r := connectors.Record{Topic: c.topic, Value: envelope(t, c.value), Headers: c.headers}
		keep, err := mustChain(t, config).Apply(&r)
		if err != nil {
			t.Fatal(err)
		}
		got := r.Topic
		for _, h := range r.Headers {
			got += " " + h.Key
		}
		if !keep {
			got = "dropped"
		}
		if got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if headers[1].Key != "x" || headers[3].Key != "x" {
		t.Errorf("the original headers were changed: %v", headers)
	}
}

func TestErrorsNameTheTransform(t *testing.T) {
	for name, c := range map[string]struct {
		config map[string]string
		in     string
	}{
		"no object":       {one("MaskField$Value", "fields", "a"), `[1]`},
		"no struct":       {one("MaskField$Value", "fields", "a"), `{"schema":{"type":"int32"},"payload":1}`},
		"no field":        {one("ExtractField$Value", "field", "zz"), schema(aField) + `{"a":1}}`},
		"no field within": {one("ExtractField$Value", "field", "n.zz", "field.syntax.version", "V2"), schema(nested) + `{"n":{"x":4,"l":null}}}`},
		"no number":       {one("Cast$Value", "spec", "b:int32"), `{"b":"x"}`},
		"field twice":     {one("InsertField$Value", "topic.field", "a"), schema(aField) + `{"a":1}}`},
		"map flattened":   {one("Flatten$Value"), schema(`{"type":"map","keys":{"type":"string"},"values":{"type":"int32"},"field":"m"}`) + `{"m":{}}}`},
		"no time":         {one("TimestampConverter$Value", "target.type", "unix", "format", "yyyy"), `"x"`},
		"no schema":       {one("SetSchemaMetadata$Value", "schema.name", "x"), `{"a":1}`},
		"null to key":     {one("ValueToKey", "fields", "a"), ``},
		"mask struct":     {one("MaskField$Value", "fields", "n"), schema(nested) + `{"n":null}}`},
	} {
		r := connectors.Record{Topic: "t", Value: envelope(t, c.in)}
		_, err := mustChain(t, c.config).Apply(&r)
		if err == nil || !strings.HasPrefix(err.Error(), "transform t: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A + behind a class in braces is a plain quantifier, one behind a counted quantifier is a possessive one.
func TestClassesInBraces(t *testing.T) {
	for pattern, known := range map[string]bool{`\p{L}+\.x{61}`: true, `\x{74}+.*`: true, `[\p{Lu}\p{Ll}]+.*`: true, `\P{N}*+`: false, `t{1,2}+.*`: false, `\p{L}`: true, `\p`: false} {
		if _, err := compileJava(pattern); (err == nil) != known {
			t.Errorf("%s: %v", pattern, err)
		}
	}
	if x, err := compileJava(`\p{L}+`); err != nil || !x.matches("tüp") || x.matches("t1") {
		t.Errorf("letters: %v", err)
	}
}

func TestBadConfigurations(t *testing.T) {
	for name, c := range map[string]struct {
		config    map[string]string
		key, text string
	}{
		"unknown class":     {one("io.debezium.transforms.ExtractNewRecordStat"), "transforms.t.type", "did you mean io.debezium.transforms.ExtractNewRecordState?"},
		"another's class":   {one("com.example.partitions.PartitionRouting"), "transforms.t.type", "is not known; there are"},
		"scripts":           {one("io.debezium.transforms.Filter"), "transforms.t.type", "runs scripts"},
		"no side":           {one("org.apache.kafka.connect.transforms.MaskField"), "transforms.t.type", "MaskField$Value"},
		"no type":           {map[string]string{"transforms": "t"}, "transforms.t.type", ""},
		"twice":             {map[string]string{"transforms": "t,t", "transforms.t.type": "Filter"}, "transforms", "twice"},
		"missing key":       {one("MaskField$Value"), "transforms.t.fields", ""},
		"unknown key":       {one("Filter", "fields", "a"), "", ""},
		"look-ahead":        {one("RegexRouter", "regex", "(?!x).*", "replacement", ""), "transforms.t.regex", "look-ahead"},
		"possessive":        {one("RegexRouter", "regex", ".*+", "replacement", "x"), "transforms.t.regex", "possessive"},
		"intersection":      {one("RegexRouter", "regex", "[a-z&&[^b]]", "replacement", "x"), "transforms.t.regex", "intersection"},
		"no such group":     {one("RegexRouter", "regex", "(a)", "replacement", "$2"), "", "no such group"},
		"week in year":      {one("TimestampRouter", "timestamp.format", "yyyy-ww"), "transforms.t.timestamp.format", "ww"},
		"bad cast":          {one("Cast$Value", "spec", "a:float"), "transforms.t.spec", "float32"},
		"format missing":    {one("TimestampConverter$Value", "target.type", "string"), "transforms.t.format", ""},
		"unlike lists":      {one("HeaderFrom$Value", "fields", "a,b", "headers", "x", "operation", "move"), "transforms.t.headers", ""},
		"unknown predicate": {one("Filter", "predicate", "p"), "transforms.t.predicate", "predicates"},
		"predicate class":   {map[string]string{"predicates": "p", "predicates.p.type": "TopicNameMatch"}, "predicates.p.type", "TopicNameMatches?"},
	} {
		d, problems := Define(c.config)
		_, more := d.Parse(c.config)
		problems = append(problems, more...)
		_, err := New(c.config)
		if name == "unknown key" {
			if err != nil || len(problems) != 1 || problems[0].IsError() {
				t.Errorf("%s: %v, %v", name, problems, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: error %v", name, err)
		}
		found := c.key == ""
		for _, p := range problems {
			found = found || p.Key == c.key && p.IsError() && strings.Contains(p.Message, c.text)
		}
		if !found {
			t.Errorf("%s: no problem of %s with %q in %v", name, c.key, c.text, problems)
		}
	}
}

func TestDefinitionsAreSound(t *testing.T) {
	for _, c := range append(Classes(), Predicates()...) {
		if err := c.Config.Verify(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	d, problems := Define(one("ExtractNewRecordState", "add.fields", "op"))
	if err := d.Verify(); err != nil || configs.Err(problems) != nil {
		t.Error(err, problems)
	}
	if !mustChain(t, map[string]string{"name": "x"}).Empty() {
		t.Error("a chain without transforms is not empty")
	}
}

func FuzzChain(f *testing.F) {
	f.Add([]byte(`{"schema":{"type":"struct","fields":[`+aField+","+bField+","+nested+`]},"payload":{"a":1,"n":{"x":1}}}`), "(a)+", "yyyy")
	f.Add([]byte(`{"a":1,"b":{"c":null}}`), "[x", "''")
	f.Add([]byte(`{"schema":{"type":"struct","name":"s.Envelope","fields":[{"field":"op","type":"string"},{"field":"before","type":"struct","optional":true,"fields":[{"field":"a","type":"int64","name":"io.debezium.time.Timestamp"}]},`+
		`{"field":"after","type":"struct","optional":true,"fields":[{"field":"a","type":"int64","name":"io.debezium.time.Timestamp"},{"field":"z","type":"string","name":"io.debezium.time.ZonedTimestamp"},{"field":"v","type":"array","name":"io.debezium.data.FloatVector","items":{"type":"float"}}]}]},`+
		`"payload":{"op":"r","before":{"a":-1},"after":{"a":1,"z":"2024-01-01T00:00:00Z","v":[1]}}}`), "x", "yyyy")
	f.Add([]byte(`{"schema":{"type":"struct","name":"io.debezium.connector.postgresql.MessageValue","fields":[{"field":"op","type":"string"},{"field":"message","type":"struct","fields":[{"field":"content","type":"bytes"}]}]},"payload":{"op":"m","message":{"content":"eyJhIjpbMV19"}}}`), "x", "yyyy")
	f.Fuzz(func(t *testing.T, value []byte, regex, format string) {
		c := newConverter(t, "json", nil)
		d, _, err := c.ToConnect(nil, "t", value)
		if err != nil {
			if d, _, err = newConverter(t, "json", map[string]string{"schemas.enable": "false"}).ToConnect(nil, "t", value); err != nil {
				return
			}
		}
		for _, config := range []map[string]string{
			one("Flatten$Value"), one("Cast$Value", "spec", "a:string,b:int8"), one("MaskField$Value", "fields", "a,b"), one("ExtractField$Value", "field", "n.x", "field.syntax.version", "V2"),
			one("ReplaceField$Value", "exclude", "a", "renames", "b:c"), one("ValueToKey", "fields", "a"), one("HoistField$Value", "field", "x"),
			one("ExtractNewRecordState", "add.fields", "op,a"), one("ByLogicalTableRouter", "topic.regex", "(.*)", "topic.replacement", "$1x"),
			one("PartitionRouting", "partition.payload.fields", "change.a,n.x", "partition.topic.num", "3"), one("TimezoneConverter", "converted.timezone", "Europe/Paris"),
			one("ExtractChangedRecordState", "header.changed.name", "c"), one("VectorToJsonConverter"), one("ReadToInsertEvent"), one("DecodeLogicalDecodingMessageContent"),
			one("SchemaChangeEventFilter", "schema.change.event.exclude.list", "DROP"), one("RegexRouter", "regex", regex, "replacement", "$0"), one("TimestampConverter$Value", "field", "a", "target.type", "string", "format", format),
		} {
			chain, err := New(config)
			if err != nil {
				continue
			}
			r := connectors.Record{Topic: "t", Value: d}
			if keep, err := chain.Apply(&r); err != nil || !keep {
				continue
			}
			for _, out := range []connectors.Data{r.Key, r.Value} {
				if out.Schema == nil {
					continue
				}
				if rest, err := connectors.SkipValue(out.Schema, out.Bytes); err != nil || len(rest) > 0 {
					t.Fatalf("%v made no value of its schema: %v, %d bytes left", config, err, len(rest))
				}
			}
		}
	})
}
