-- Domains in the stream, and updates of keys, which are deletes and inserts.
INSERT INTO d (id, by, pt, a, ta, na) VALUES (2, '\x01', '(1,2)', '{1,2}', '{x}', '{1.5,NULL}');
UPDATE d SET num = 3 WHERE id = 2;
DELETE FROM d WHERE id = 2;
UPDATE moved SET id = 9 WHERE id = 1;
UPDATE moved SET v = 5 WHERE id = 2;
INSERT INTO moved VALUES (4, 4);
DELETE FROM moved WHERE id = 2;
