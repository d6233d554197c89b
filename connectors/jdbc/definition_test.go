package jdbc

import (
	"context"
	"strings"
	"testing"

	"github.com/sluicehub/sluice/configs"
)

// What people's configurations mean, by whose sink they were written for.
func TestSettings(t *testing.T) {
	t.Parallel()
	const url = "connection.url"
	parse := func(pairs ...string) settings {
		t.Helper()
		config := map[string]string{url: "jdbc:postgresql://db/shop?user=u&password=p"}
		for i := 0; i < len(pairs); i += 2 {
			config[pairs[i]] = pairs[i+1]
		}
		s, err := parseSettings(config)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	confluent := parse("connector.class", "io.confluent.connect.jdbc.JdbcSinkConnector", "connection.user", "me", "insert.mode", "UPSERT", "pk.mode", "record_key",
		"pk.fields", "id", "auto.create", "true")
	if !confluent.quoted || confluent.underscores || confluent.user != "me" || confluent.password != "p" || confluent.mode != modeUpsert || !confluent.create || confluent.evolve {
		t.Errorf("Confluent's: %+v", confluent)
	}
	aiven := parse("connector.class", "io.aiven.connect.jdbc.JdbcSinkConnector", "insert.mode", "multi", "topics.to.tables.mapping", "a:x, b:y.z")
	if aiven.mode != modeInsert || aiven.tables["b"] != "y.z" {
		t.Errorf("Aiven's: %+v", aiven)
	}
	debezium := parse("connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector", "connection.username", "me", "primary.key.mode", "record_value",
		"primary.key.fields", "id", "schema.evolution", "basic", "column.naming.strategy", "io.debezium.sink.naming.DefaultColumnNamingStrategy",
		"dialect.postgres.postgis.schema", "public", "use.time.zone", "Etc/UTC")
	if debezium.quoted || !debezium.underscores || !debezium.create || !debezium.evolve || debezium.user != "me" || debezium.keys != keyValue {
		t.Errorf("Debezium's: %+v", debezium)
	}
	if through := parse("connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector", "collection.naming.strategy", "io.debezium.sink.naming.PassthroughCollectionNamingStrategy",
		"collection.name.format", "x.${topic}"); through.underscores || through.tableFormat != "x.${topic}" {
		t.Errorf("Debezium's, with the topics as tables: %+v", through)
	}
}

func TestTableNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class, format, topic string
		want                 tableName // without a name: refused
	}{
		{"", "${topic}", "orders", tableName{"", "orders"}},
		{"", "kafka_${topic}", "public.Orders", tableName{"kafka_public", "Orders"}},
		{"", "${topic}", "shop.public.orders", tableName{"public", "orders"}},
		{"", "${topic}", "other.public.orders", tableName{}},
		{"", "${topic}", "a.", tableName{}},
		{"io.debezium.connector.jdbc.JdbcSinkConnector", "${topic}", "shop.public.Orders", tableName{"", "shop_public_orders"}},
	} {
		s, err := parseSettings(map[string]string{"connector.class": c.class, "connection.url": "jdbc:postgresql://db/shop", "table.name.format": c.format})
		if err != nil {
			t.Fatal(err)
		}
		x := task{settings: s, dialect: &postgres{}}
		got, _, err := x.tableOf(c.topic)
		if got != c.want || (err != nil) != (c.want.name == "") {
			t.Errorf("%s of %s: %+v, %v", c.format, c.topic, got, err)
		}
	}
}

// What cannot work is said when the connector is made, at the key that mends it.
func TestProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		key  string
		want string
		rest []string
	}{
		{"delete.enabled", "pk.mode=record_key", []string{"delete.enabled", "true"}},
		{"pk.mode", "needs a primary key", []string{"insert.mode", "upsert"}},
		{"pk.fields", "three", []string{"pk.mode", "kafka", "pk.fields", "a,b"}},
		{"connection.url", "jdbc:postgresql", []string{"connection.url", "jdbc:oracle:thin:@h"}},
		{"db.timezone", "Europe/Paris", []string{"db.timezone", "PST8"}},
		{"delete.enabled", "pk.mode=record_key", []string{"delete.enabled", "true", "pk.mode", "record_header"}},
		{"collection.naming.strategy", "DefaultCollectionNamingStrategy", []string{"table.naming.strategy", "com.example.Mine"}},
		{"column.naming.strategy", "ReplaceField", []string{"column.naming.strategy", "io.debezium.connector.jdbc.naming.CustomColumnNamingStrategy"}},
		{"topics.to.tables.mapping", "topic:table", []string{"topics.to.tables.mapping", "x"}},
	} {
		config := map[string]string{"connection.url": "jdbc:sqlite:x.db"}
		for i := 0; i < len(c.rest); i += 2 {
			config[c.rest[i]] = c.rest[i+1]
		}
		_, problems := definition.Parse(config)
		if !hasProblem(problems, c.key, c.want) {
			t.Errorf("%v: %v", c.rest, problems)
		}
	}
	problems := New().Validate(context.Background(), map[string]string{"connection.url": "jdbc:postgresql://u:secret@127.0.0.1:1/x?prepareThreshold=0", "connection.attempts": "1"})
	if !hasProblem(problems, "connection.url", "prepareThreshold") || !hasProblem(problems, "connection.url", "Put it into connection.password") ||
		!hasProblem(problems, "connection.url", "connect to postgresql://127.0.0.1:1/x") {
		t.Errorf("validate: %v", problems)
	}
	for _, p := range problems {
		if strings.Contains(p.String(), "secret") {
			t.Errorf("a secret: %v", p)
		}
	}
}

func hasProblem(problems []configs.Problem, key, text string) bool {
	for _, p := range problems {
		if p.Key == key && strings.Contains(p.Message, text) {
			return true
		}
	}
	return false
}
