package configs_test

import (
	"fmt"

	"github.com/sluicehub/sluice/configs"
)

func ExampleDefinition_Parse() {
	definition := &configs.Definition{
		Keys: []configs.Key{
			{Name: "topic.prefix", Type: configs.String, Required: true, Importance: configs.High,
				Doc: "First part of every topic name.", Aliases: []string{"database.server.name"}},
			{Name: "database.port", Type: configs.Int, Default: "5432", Min: "1", Max: "65535", Importance: configs.High},
			{Name: "database.password", Type: configs.Password, Importance: configs.High},
			{Name: "poll.interval.ms", Type: configs.Long, Default: "500", Min: "1"},
			{Name: "table.include.list", Type: configs.List},
			{Name: "table.exclude.list", Type: configs.List},
		},
		Rules: []configs.Rule{configs.AtMostOne("table.include.list", "table.exclude.list")},
	}
	values, problems := definition.Parse(map[string]string{
		"topic.prefix":       "shop",
		"database.port":      "0",
		"database.password":  "hunter2",
		"table.include.list": "public.orders, public.items",
		"poll.intervall.ms":  "100",
	})
	for _, p := range problems {
		fmt.Println(p)
	}
	fmt.Println(values.String("topic.prefix"), values.List("table.include.list"), values.Duration("poll.interval.ms"))
	fmt.Println(values.Password("database.password"))
	// Output:
	// Invalid value 0 for configuration database.port: Value must be at least 1
	// warning: Unknown configuration "poll.intervall.ms" is ignored; did you mean "poll.interval.ms"?
	// shop [public.orders public.items] 500ms
	// ********
}
