package mysql

// flavor is what tells MySQL from MariaDB.
type flavor struct {
	name    string // as the source block and go-mysql spell it
	class   string // the Java class that the connector stands in for
	title   string
	mariadb bool
}

func mysqlFlavor() flavor {
	return flavor{name: "mysql", title: "MySQL", class: "io.debezium.connector.mysql.MySqlConnector"}
}

func mariadbFlavor() flavor {
	return flavor{name: "mariadb", title: "MariaDB", class: "io.debezium.connector.mariadb.MariaDbConnector", mariadb: true}
}

// schema returns the name of one of the connector's own schemas.
func (f flavor) schema(name string) string { return "io.debezium.connector." + f.name + "." + name }
