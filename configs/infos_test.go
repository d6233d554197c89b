package configs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestInfosJSON(t *testing.T) {
	d := &Definition{Keys: []Key{
		{Name: "topic.prefix", Type: String, Required: true, Importance: High, Group: "Postgres", Width: WidthMedium, DisplayName: "Topic prefix", Doc: "First part."},
		{Name: "database.password", Type: Password, Default: "x", Importance: High, Group: "Postgres"},
		{Name: "ratio", Type: Double, Default: "1", Max: "1"},
	}}
	infos := d.Validate(map[string]string{"database.password": "hunter2", "ratio": "2", "ratoi": "3"})
	infos.Name = "postgres"
	got, err := json.MarshalIndent(infos, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
 "name": "postgres",
 "error_count": 2,
 "groups": [
  "Postgres"
 ],
 "configs": [
  {
   "definition": {
    "name": "topic.prefix",
    "type": "STRING",
    "required": true,
    "default_value": null,
    "importance": "HIGH",
    "documentation": "First part.",
    "group": "Postgres",
    "order_in_group": 1,
    "order": 1,
    "width": "MEDIUM",
    "display_name": "Topic prefix",
    "dependents": []
   },
   "value": {
    "name": "topic.prefix",
    "value": null,
    "recommended_values": [],
    "errors": [
     "Missing required configuration \"topic.prefix\" which has no default value."
    ],
    "visible": true
   }
  },
  {
   "definition": {
    "name": "database.password",
    "type": "PASSWORD",
    "required": false,
    "default_value": "[hidden]",
    "importance": "HIGH",
    "documentation": "",
    "group": "Postgres",
    "order_in_group": 2,
    "order": 2,
    "width": "NONE",
    "display_name": "database.password",
    "dependents": []
   },
   "value": {
    "name": "database.password",
    "value": "[hidden]",
    "recommended_values": [],
    "errors": [],
    "visible": true
   }
  },
  {
   "definition": {
    "name": "ratio",
    "type": "DOUBLE",
    "required": false,
    "default_value": "1.0",
    "importance": "LOW",
    "documentation": "",
    "group": null,
    "order_in_group": -1,
    "order": -1,
    "width": "NONE",
    "display_name": "ratio",
    "dependents": []
   },
   "value": {
    "name": "ratio",
    "value": "2.0",
    "recommended_values": [],
    "errors": [
     "Invalid value 2 for configuration ratio: Value must be no more than 1.0"
    ],
    "visible": true
   }
  }
 ],
 "warnings": [
  {
   "key": "ratoi",
   "message": "Unknown configuration \"ratoi\" is ignored; did you mean \"ratio\"?",
   "severity": "warning",
   "near": "ratio"
  }
 ]
}`
	if string(got) != want {
		t.Errorf("got\n%s", got)
	}
}

func TestInfosVisibleAndFamilies(t *testing.T) {
	infos := sample().Validate(map[string]string{"topic.prefix": "p", "snapshot.mode": "never", "transforms.a.type": "T"})
	found := map[string]Info{}
	for _, c := range infos.Configs {
		found[c.Value.Name] = c
	}
	if found["snapshot.fetch.size"].Value.Visible || !found["snapshot.mode"].Value.Visible {
		t.Error("visibility does not follow snapshot.mode")
	}
	if got := strings.Join(found["snapshot.mode"].Value.RecommendedValues, " "); got != "initial never always" {
		t.Error(got)
	}
	if v := found["transforms.a.type"].Value.Value; v == nil || *v != "T" {
		t.Error("a key of a family is missing")
	}
	if _, ok := found["transforms.<name>.type"]; ok {
		t.Error("a family itself is in the answer")
	}
	if list := found["table.include.list"].Definition.DefaultValue; list == nil || *list != "" {
		t.Error("an empty default is not null")
	}
	if infos.ErrorCount != 0 || infos.Warnings != nil {
		t.Error(infos.ErrorCount, infos.Warnings)
	}
}

func TestInfosAdd(t *testing.T) {
	infos := sample().Validate(map[string]string{"topic.prefix": "p"})
	p := KeyError("database.hostname", "connection refused")
	infos.Add(p, p, KeyWarning("slot.name", "retains 2 GB"), Problem{Message: "no task"}, KeyError("new.key", "what?"))
	infos.Add(p)
	if infos.ErrorCount != 3 || len(infos.Warnings) != 1 {
		t.Error(infos.ErrorCount, infos.Warnings)
	}
	if errs := infos.value("connector.class").Errors; len(errs) != 1 {
		t.Error(errs)
	}
	for _, c := range infos.Configs {
		if c.Value.Name == "new.key" && c.Definition != nil {
			t.Error("a key that is not declared has a definition")
		}
	}
}

func TestInfosRedact(t *testing.T) {
	env := map[string]string{"PORT": "99999", "SLOT": "V4lue", "PW": "pw", "MODE": "inital", "PLUGIN": "w2json"}
	resolver, _ := NewResolver(nil, func(name string) (string, bool) { return env[name], true })
	resolved, problems := resolver.Resolve(map[string]string{"topic.prefix": "p", "database.port": "${env:PORT}",
		"slot.name": "${env:SLOT}", "database.password": "${env:PW}", "snapshot.mode": "${env:MODE}", "plugin.name": "${env:PLUGIN}"})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	infos := sample().Validate(resolved.Config)
	infos.Add(KeyError("slot.name", "the slot V4lue is taken"))
	before := infos.ErrorCount
	infos.Redact(resolved)
	data, err := json.Marshal(infos)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, value := range env {
		if value != "pw" && strings.Contains(text, value) {
			t.Errorf("%s is in %s", value, text)
		}
	}
	for _, want := range []string{
		`"value":"${env:SLOT}"`,
		`Invalid value ${env:PORT} for configuration database.port: Value must be no more than 65535`,
		`Invalid value ${env:SLOT} for configuration slot.name: the value that it stands for is not valid`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if infos.ErrorCount != before || *infos.value("database.password").Value != HiddenValue {
		t.Error(infos.ErrorCount, *infos.value("database.password").Value)
	}
}

func TestResolvedRedact(t *testing.T) {
	resolver, _ := NewResolver(nil, func(string) (string, bool) { return "1", true })
	resolved, _ := resolver.Resolve(map[string]string{"slot.name": "${env:S}", "snapshot.mode": "${env:M}", "ratio": "2"})
	_, problems := sample().Parse(resolved.Config)
	problems = append(problems, KeyError("slot.name", "slot 1 is taken"))
	var got []string
	for _, p := range resolved.Redact(problems) {
		got = append(got, p.String())
	}
	want := `Missing required configuration "topic.prefix" which has no default value.
Invalid value ${env:M} for configuration snapshot.mode: String must be one of: initial, never, always
Invalid value 2 for configuration ratio: Value must be no more than 1.0
Invalid value ${env:S} for configuration slot.name: the value that it stands for is not valid`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestValuesDoNotPrint(t *testing.T) {
	resolver, _ := NewResolver(nil, func(string) (string, bool) { return "s3cr3t-value", true })
	resolved, _ := resolver.Resolve(map[string]string{"database.password": "${env:PW}"})
	v, _ := sample().Parse(resolved.Config)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb+verb, v, resolved); strings.Contains(text, "s3cr3t-value") {
			t.Error(text)
		}
	}
}

func TestKeyInfos(t *testing.T) {
	keys := sample().KeyInfos()
	if len(keys) != 13 || keys[3].Name != "database.password" || keys[3].OrderInGroup != 4 || keys[3].DefaultValue != nil {
		t.Errorf("%d %+v", len(keys), keys)
	}
}
