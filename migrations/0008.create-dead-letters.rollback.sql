DROP TABLE dead_letter_settlements;
DROP TABLE dead_letters;
