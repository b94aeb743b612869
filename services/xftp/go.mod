module sotto/services/xftp

go 1.26.0

replace sotto/shared => ../../shared
