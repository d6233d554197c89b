CREATE TABLE own (id int PRIMARY KEY, u uuid, i4 inet4, i6 inet6, inv int INVISIBLE DEFAULT 5, ex varchar(40) DEFAULT (concat('a', 'b')));
INSERT INTO own (id, u, i4, i6) VALUES (1, '123e4567-e89b-12d3-a456-426655440000', '192.168.1.0', '2001:db8::ff00:42:8329'), (2, NULL, NULL, NULL), (3, '123e4567-e89b-12d3-a456-000000000000', '10.0.0.0', '::');
